"""Cells: their declaration, their functions, and the bundled LSTM."""

from pylstm.cells.cell import Cell
from pylstm.cells.contract import Contract, Stage
from pylstm.cells.functions import cos, exp, expm1, log, log1p, relu, sigmoid, sin, sqrt, tanh

__all__ = [
    "Cell",
    "Contract",
    "Stage",
    "cos",
    "exp",
    "expm1",
    "log",
    "log1p",
    "relu",
    "sigmoid",
    "sin",
    "sqrt",
    "tanh",
]
