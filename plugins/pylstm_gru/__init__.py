"""Gated recurrent units: `gru` (reset after the product, as PyTorch) and `gru_reset_before` (Cho et al. 2014)."""

from pylstm import hookimpl
from pylstm_gru.gru import GRU, GRUResetBefore

__all__ = ["GRU", "GRUResetBefore"]


@hookimpl
def pylstm_register_cells(registry):
    registry.register(GRU)
    registry.register(GRUResetBefore)
