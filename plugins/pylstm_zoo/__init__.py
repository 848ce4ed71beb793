"""The zoo: published recurrent cells as formulas, one module per family; `modifiers` has helpers."""

from pylstm import Cell, hookimpl
from pylstm_zoo import (
    ablations,
    deep,
    dynamical,
    elementwise,
    exponential,
    gated,
    hydrology,
    hyper,
    lagged,
    liquid,
    memory,
    normalised,
    spiking,
    statespace,
    timed,
)

FAMILIES = (
    ablations,
    gated,
    elementwise,
    dynamical,
    deep,
    normalised,
    hyper,
    exponential,
    memory,
    statespace,
    lagged,
    liquid,
    timed,
    hydrology,
    spiking,
)
CELLS = tuple(
    cell
    for family in FAMILIES
    for cell in vars(family).values()
    if isinstance(cell, type) and issubclass(cell, Cell) and cell.__module__ == family.__name__
)


@hookimpl
def pylstm_register_cells(registry):
    for cell in CELLS:
        registry.register(cell)
