"""Recurrent networks on CPUs: exact back-propagation through time at the speed of the machine, any cell."""

from pylstm import _guard  # noqa: F401  (first: explains an import of the uncompiled source tree)
from pylstm.cells import (
    Cell,
    Stage,
    cos,
    exp,
    expm1,
    log,
    log1p,
    relu,
    sigmoid,
    sin,
    sqrt,
    tanh,
)
from pylstm.hookspecs import hookimpl
from pylstm.layers.parameters import Parameters
from pylstm.layers.recurrent import GRU, LSTM, RNN, Recurrent
from pylstm.layers.run import Gradients, Run
from pylstm.plugins import register

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "Gradients",
    "Parameters",
    "Recurrent",
    "Run",
    "Stage",
    "cos",
    "exp",
    "expm1",
    "hookimpl",
    "log",
    "log1p",
    "register",
    "relu",
    "sigmoid",
    "sin",
    "sqrt",
    "tanh",
]
