"""The LSTM with a coupled input and forget gate: `cifg`."""

from pylstm import hookimpl
from pylstm_cifg.cifg import CIFG

__all__ = ["CIFG"]


@hookimpl
def pylstm_register_cells(registry):
    registry.register(CIFG)
