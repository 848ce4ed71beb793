"""Character models: the model, its training on streams of text, the bigram baseline."""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.text.bigram import bigram_bits
from pylstm.text.char_model import CharModel
from pylstm.text.settings import Budget, TextSettings
from pylstm.text.streams import Streams
from pylstm.text.trainer import TextTrainer, text_bits

__all__ = [
    "Budget",
    "CharModel",
    "Streams",
    "TextSettings",
    "TextTrainer",
    "bigram_bits",
    "text_bits",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
