"""Registers the bundled LSTM the way every other cell is registered."""

from pylstm import hookimpl
from pylstm.cells import LSTM


@hookimpl
def pylstm_register_cells(registry):
    registry.register(LSTM)
