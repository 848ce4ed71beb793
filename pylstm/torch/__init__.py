"""Modules for PyTorch, which they need: `LSTM`, `GRU`, `RNN` in place of ``torch.nn``'s, and `Recurrent` of any cell.

Read on in `modules` (what a user makes), `module` (a call), `door` (autograd and torch.compile), `engines` (the layers
of pylstm that compute).
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from pylstm.hints import absent

if find_spec("torch") is None:
    raise ModuleNotFoundError("the modules of pylstm.torch need PyTorch: pip install 'pylstm[torch]'", name="torch")

from torch.serialization import add_safe_globals

from pylstm.torch.modules import GRU, LSTM, RNN, Recurrent

add_safe_globals([GRU, LSTM, RNN, Recurrent])  # torch.load of a whole module, whose weights_only is True by default

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
