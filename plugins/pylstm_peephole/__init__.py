"""The LSTM whose gates see the cell state: `peephole`."""

from pylstm import hookimpl
from pylstm_peephole.peephole import Peephole

__all__ = ["Peephole"]


@hookimpl
def pylstm_register_cells(registry):
    registry.register(Peephole)
