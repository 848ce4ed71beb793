"""Real data sets that are already on the machine, text as indices, tables of numbers."""

from typing import TYPE_CHECKING

from pylstm.datasets.bundled import Classification, Series, co2, digits, japanese_vowels, sunspots
from pylstm.datasets.groups import Groups, grouped, split_by_class
from pylstm.datasets.tables import Table, read_table
from pylstm.datasets.text import UNKNOWN, Vocabulary, manual_topics, read_text
from pylstm.hints import absent

__all__ = [
    "UNKNOWN",
    "Classification",
    "Groups",
    "Series",
    "Table",
    "Vocabulary",
    "co2",
    "digits",
    "grouped",
    "japanese_vowels",
    "manual_topics",
    "read_table",
    "read_text",
    "split_by_class",
    "sunspots",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
