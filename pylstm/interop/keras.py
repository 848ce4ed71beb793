"""Weights of ``keras.layers.LSTM``, ``GRU`` and ``SimpleRNN``, as ``get_weights`` returns them. Keras is not needed.

There matrices are transposed, (inputs, gates times units). ``GRU(reset_after=True)``, the default, is our cell ``gru``
and has two biases; ``reset_after=False`` is ``gru_reset_before``. ``Bidirectional`` has the weights of the forward
layer, then those of the backward layer. ``CuDNNLSTM`` and ``CuDNNGRU`` of Keras 2 hold the same numbers in the order of
cuDNN, with two biases in one array, (8 H,) and (6 H,): they are told by that, and converted.
"""

from typing import TYPE_CHECKING

from pylstm.cells.hard_sigmoid import GRUHardSigmoid, GRUResetBeforeHardSigmoid, LSTMHardSigmoid
from pylstm.hints import absent
from pylstm.interop.keras_weights import get_weights, load_weights

if TYPE_CHECKING:
    from pylstm.interop.keras_files import load as load

__all__ = ["GRUHardSigmoid", "GRUResetBeforeHardSigmoid", "LSTMHardSigmoid", "get_weights", "load", "load_weights"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__, {"load": "pylstm.interop.keras_files"})
