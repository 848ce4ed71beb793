"""The LSTM without tanh on its output: `lstm_linear_output`."""

from pylstm import hookimpl
from pylstm_lstm_linear_output.lstm_linear_output import LSTMLinearOutput

__all__ = ["LSTMLinearOutput"]


@hookimpl
def pylstm_register_cells(registry):
    registry.register(LSTMLinearOutput)
