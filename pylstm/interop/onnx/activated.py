"""`activated_cell`: a cell for the operator LSTM, GRU or RNN with any activations and a clip.

Its class is a name of this module, made when it is asked for, so that its layers can be pickled.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pylstm.cells import hard_sigmoid
from pylstm.cells.cell import Cell
from pylstm.cells.contracts.stages import Stage
from pylstm.cells.functions import absolute, expm1, maximum, minimum, relu, sigmoid, softplus, tanh, where
from pylstm.interop.onnx.operators import cell_of, load_tensors
from pylstm.layers.named import Recurrent

__all__ = ["FUNCTIONS", "activated_cell", "cells_of", "functions_of", "load_activated"]

NEEDED = float("nan")
"""A number without a default: runtimes do not agree on one."""
FUNCTIONS: dict[str, tuple[Callable[..., Any], float | None, float | None]] = {
    "Relu": (lambda z, a, b: relu(z), None, None),
    "Tanh": (lambda z, a, b: tanh(z), None, None),
    "Sigmoid": (lambda z, a, b: sigmoid(z), None, None),
    "Affine": (lambda z, a, b: a * z + b, 1.0, 0.0),
    "LeakyRelu": (lambda z, a, b: where(z < 0, a * z, z), 0.01, None),
    "ThresholdedRelu": (lambda z, a, b: where(z >= a, z, 0.0), NEEDED, None),
    "ScaledTanh": (lambda z, a, b: a * tanh(b * z), NEEDED, NEEDED),
    "HardSigmoid": (lambda z, a, b: minimum(maximum(a * z + b, 0.0), 1.0), 0.2, 0.5),
    "Elu": (lambda z, a, b: where(z < 0, a * expm1(minimum(z, 0.0)), z), 1.0, None),
    "Softsign": (lambda z, a, b: z / (1.0 + absolute(z)), None, None),
    "Softplus": (lambda z, a, b: softplus(z), None, None),
}
"""Activation -> its function of z, alpha and beta, and the defaults of alpha and beta; None: it has none."""

Activation = tuple[str, float, float]
"""Name, alpha, beta."""
DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
BASES = {
    "LSTM": {(0, 0): "lstm", (1, 0): "peephole", (0, 1): "cifg_peephole", (1, 1): "cifg_peephole"},
    "GRU": {(0, 0): "gru_reset_before", (0, 1): "gru"},
    "RNN": {(0, 0): "rnn_tanh"},
}
"""Operator -> peepholes, and input_forget or linear_before_reset -> the cell that has such gates and parameters."""


def cells_of(operator: str, peepholes: bool, directions: int, given: dict[str, Any]) -> list[Any]:
    """The cell of each direction that computes what a node asks for, a name of `CELLS` or a class, and its options.

    Parameters
    ----------
    operator : {"LSTM", "GRU", "RNN"}
    peepholes : bool
        Whether it has P.
    directions : int
    given : dict
        The attributes of the node.

    Raises
    ------
    ValueError
        As `functions_of`; a negative clip.
    """
    variant = {"LSTM": "input_forget", "GRU": "linear_before_reset"}.get(operator, "")
    clip, which = float(given.get("clip") or 0), int(bool(given.get(variant, 0)))
    if clip < 0:
        raise ValueError(f"{operator}: clip must be above 0, got {clip:g}")
    found: list[Any] = []
    for functions in functions_of(operator, directions, given):
        name = "" if clip else cell_of(operator, peepholes, {variant: which} if variant else {}, functions)
        if name in hard_sigmoid.CELLS:
            slope = float(str(np.float32(functions[0][1])))  # 0.2 is another number in the file
            least, most = hard_sigmoid.SLOPE
            if least <= slope <= most:
                found.append((hard_sigmoid.CELLS[name], {"slope": slope}))
                continue
            name = ""
        found.append((name or activated_cell(operator, peepholes, which, clip, functions), {}))
    return found


def functions_of(operator: str, directions: int, given: dict[str, Any]) -> list[tuple[Activation, ...]]:
    """The activations of each direction; alpha and beta are consumed in order, by those that have them.

    Raises
    ------
    ValueError
        An activation that ONNX does not have; another number of them than the operator takes.
    """
    usual = DEFAULTS[operator]
    names = [n.decode() if isinstance(n, bytes) else n for n in given.get("activations", usual * directions)]
    if len(names) != len(usual) * directions:
        raise ValueError(f"{operator}: activations must be {len(usual)} for each direction, got {names}")
    known = {name.lower(): name for name in FUNCTIONS}
    if unknown := [name for name in names if name.lower() not in known]:
        raise ValueError(f"{operator}: the activation {unknown[0]!r} is not one of {', '.join(FUNCTIONS)}")
    alphas, betas = (iter(given.get(f"activation_{name}", ())) for name in ("alpha", "beta"))
    found = []
    for name in (known[name.lower()] for name in names):
        _, alpha, beta = FUNCTIONS[name]
        alpha = 0.0 if alpha is None else next(alphas, alpha)
        beta = 0.0 if beta is None else next(betas, beta)
        if alpha != alpha or beta != beta:
            raise ValueError(f"{operator}: {name} needs its activation_alpha and activation_beta: runtimes differ")
        found.append((name, alpha, beta))
    return [tuple(found[k : k + len(usual)]) for k in range(0, len(found), len(usual))]


def activated_cell(
    operator: str, peepholes: bool, variant: int, clip: float, functions: Sequence[Activation]
) -> type[Cell]:
    """The class of the cell.

    Parameters
    ----------
    operator : {"LSTM", "GRU", "RNN"}
    peepholes : bool
        Whether an LSTM has P.
    variant : int
        ``input_forget`` of LSTM, ``linear_before_reset`` of GRU, 0 of RNN.
    clip : float
        The inputs of activations are within -clip..clip; 0: anywhere.
    functions : sequence of (str, float, float)
        One direction of `functions_of`.
    """
    parts = [f"{name}{_bits(alpha)}{_bits(beta)}" for name, alpha, beta in functions]
    return _class("_".join([operator, f"{int(peepholes)}{variant}{_bits(clip)}", *parts]))


def load_activated(layer: Recurrent, W: Any, R: Any, B: Any, P: Any) -> None:
    """Set the parameters of a layer with such a cell from the inputs of the operator, of one direction each."""
    cell: Any = layer.cell
    base = Recurrent(cell.like, layer.input_size, layer.hidden_size, bias=layer.bias, dtype=layer.dtype)
    if P is None and cell.contract.params:
        P = np.zeros((1, 3 * layer.hidden_size), R.dtype)
    load_tensors(base, W, R, B, P)
    layer.params.update(dict(base.params))


def __getattr__(name: str) -> Any:
    """A class by its name, as a pickle asks for it."""
    if name.partition("_")[0] not in DEFAULTS:
        raise AttributeError(name)
    return _class(name)


@functools.cache
def _class(name: str) -> type[Cell]:
    operator, options, *parts = name.split("_")
    functions = [_applied(each[:-16], _number(each[-16:-8]), _number(each[-8:])) for each in parts]
    if clip := _number(options[2:]):  # as onnxruntime, whose h = o u(c) has the whole c
        functions[:2] = [_clipped(each, clip) for each in functions[:2]]
    peepholes, variant = int(options[0]), int(options[1])
    makers: dict[str, Callable[..., dict[str, Any]]] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}
    made = makers[operator](peepholes, variant, *functions)
    own = {"name": f"onnx_{name.lower()}", "like": BASES[operator][peepholes, variant], "__module__": __name__}
    return type(name, (Cell,), {"__doc__": f"The operator {operator} of ONNX, {name}.", **own, **made})


def _bits(number: float) -> str:
    """A float32, as attributes of ONNX are, in eight digits."""
    return struct.pack(">f", number).hex()


def _number(bits: str) -> float:
    return float(struct.unpack(">f", bytes.fromhex(bits))[0])


def _applied(name: str, alpha: float, beta: float) -> Callable[[Any], Any]:
    function = FUNCTIONS[name][0]
    return lambda z: function(z, alpha, beta)


def _clipped(function: Callable[[Any], Any], clip: float) -> Callable[[Any], Any]:
    return lambda z: function(minimum(maximum(z, -clip), clip))


def _lstm(peepholes: int, input_forget: int, s: Any, t: Any, u: Any) -> dict[str, Any]:
    def forward(z, prev, p):  # type: ignore[no-untyped-def]
        i = s(z.i + p.p_i * prev.c if with_p else z.i)
        f = 1 - i if input_forget else s(z.f + p.p_f * prev.c if with_p else z.f)
        c = f * prev.c + i * t(z.g)
        o = s(z.o + p.p_o * c if with_p else z.o)
        return dict(h=o * u(c), c=c)

    with_p = peepholes or input_forget  # the cell with input_forget has them, 0 where there is no P
    gates = ("i", "g", "o") if input_forget else ("i", "f", "g", "o")
    params = (("p_i", "p_o") if input_forget else ("p_i", "p_f", "p_o")) if with_p else ()
    return {"states": ("h", "c"), "gates": dict.fromkeys(gates, "x+h"), "params": params, "forward": forward}


def _gru(_: int, linear_before_reset: int, s: Any, t: Any) -> dict[str, Any]:
    def forward(z, prev):  # type: ignore[no-untyped-def]
        update = s(z.z)
        return dict(h=(1 - update) * t(z.n + s(z.r) * z.m) + update * prev.h)

    def forward_reset(z, prev):  # type: ignore[no-untyped-def]
        return dict(rh=s(z.r) * prev.h)

    def forward_update(z, prev):  # type: ignore[no-untyped-def]
        update = s(z.z)
        return dict(h=(1 - update) * t(z.n) + update * prev.h)

    if linear_before_reset:
        return {"states": ("h",), "gates": {"r": "x+h", "z": "x+h", "m": "h", "n": "x"}, "forward": forward}
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("update", gates=("z", "n")))
    forwards = {"forward_reset": forward_reset, "forward_update": forward_update}
    return {"states": ("h",), "gates": {"r": "x+h", "z": "x+h", "n": "x+rh"}, "stages": stages, **forwards}


def _rnn(_: int, __: int, s: Any) -> dict[str, Any]:
    def forward(z):  # type: ignore[no-untyped-def]
        return dict(h=s(z.a))

    return {"states": ("h",), "gates": {"a": "x+h"}, "forward": forward}
