"""Cells: their declaration, their functions, and the bundled LSTM."""

from pylstm.cells.cell import Cell
from pylstm.cells.contract import Contract, Stage
from pylstm.cells.functions import (
    absolute,
    cos,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    tanh,
    where,
)
from pylstm.cells.lstm import LSTM

__all__ = [
    "LSTM",
    "Cell",
    "Contract",
    "Stage",
    "absolute",
    "cos",
    "exp",
    "expm1",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "relu",
    "sigmoid",
    "sin",
    "softplus",
    "sqrt",
    "tanh",
    "where",
]
