"""Elman networks without gates: `rnn_tanh`, `rnn_relu`, `rnn_linear`."""

from pylstm import hookimpl
from pylstm_rnn.rnn import RNNLinear, RNNReLU, RNNTanh

__all__ = ["RNNLinear", "RNNReLU", "RNNTanh"]


@hookimpl
def pylstm_register_cells(registry):
    registry.register(RNNTanh)
    registry.register(RNNReLU)
    registry.register(RNNLinear)
