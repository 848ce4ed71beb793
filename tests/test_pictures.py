"""Pictures of the gallery are true: their equations, computed as they are read, give the states of the layer."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm import Cell, plugins, tanh, where

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "make_gallery.py"
spec = importlib.util.spec_from_file_location("make_gallery", SCRIPT)
make_gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_gallery)
flow = sys.modules["flow"]


class Brackets(Cell):
    """What binds how tightly, which no published cell asks in full."""

    states, gates = ("h", "c"), {"a": "x+h", "b": "x", "g": "h"}

    def forward(z, prev):
        low = z.a - (prev.h - (z.b - prev.c))
        high = where(z.a > 0.4, low / (z.b * z.g), low) - where(z.b > 90, z.a, -(z.g + prev.h)) / (z.a / z.b)
        return {"h": -(high - z.g) * (z.a + z.b) ** 2, "c": tanh(low) - abs(z.a - (z.b + prev.c))}


CELLS = {entry.cell.name: entry.cell for entry in plugins.registry().entries()} | {"brackets": Brackets}

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:e[-+]\d+)?)|(?P<name>[^\W\d_][^\W_]*(?:_\{[^}]*\})?′*)|(?P<sign>\^\{|[<>!=]=|\S))"
)
WORDS = ("if", "else", "and", "or", "not")
OPENING, CLOSING = {"(": "(", "[": "float(", "^{": "**("}, {")": ")", "]": ")", "}": ")"}


def sigmoid(x):
    return 0.5 * (1 + math.tanh(0.5 * x))


FUNCTIONS = {
    **{name: getattr(math, name) for name in ("tanh", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos")},
    "σ": sigmoid, "softplus": lambda x: math.log1p(math.exp(x)), "relu": lambda x: max(x, 0.0), "abs": abs,
    "max": lambda *of: max(of), "min": lambda *of: min(of), "softmax": lambda x: 1.0, "float": float,
    **dict.fromkeys(("sum", "cumsum", "fold", "tile", "stop", "logsumexp"), lambda x: x),  # of one unit
}  # fmt: skip


def python_of(equation):
    """An equation as Python, with a name for each value: what stands side by side is multiplied."""
    for sign, meant in (
        ("\u1d40", " "),
        ("\u2297", " "),
        ("\u2212", "-"),
        ("\u2264", "<="),
        ("\u2265", ">="),
        ("\u2260", "!="),
    ):
        equation = equation.replace(sign, meant)
    equation = re.sub(r"\|([^|]+)\|", r"abs(\1)", equation)
    names, code, ended = {}, [], False
    for token in TOKEN.finditer(equation):
        text, sign = token.group().strip(), token["sign"]
        word, call = text in WORDS, token["name"] and equation[token.end() : token.end() + 1] == "("
        if ended and not word and (not sign or sign in ("(", "[")) and not (code and code[-1] in FUNCTIONS):
            code.append("*")
        if token["name"] and not word and not call:
            code.append(names.setdefault(text, f"value_{len(names)}"))
        else:
            code.append(OPENING.get(sign) or CLOSING.get(sign) or text)
        ended = sign in CLOSING if sign else not word and not call
    return " ".join(code), {own: name for name, own in names.items()}


def value(equation, known):
    code, names = python_of(equation)
    return eval(code, dict(FUNCTIONS), {own: known[name] for own, name in names.items()})


@pytest.fixture(params=CELLS)
def cell(request):
    return CELLS[request.param]


def layer_of(cell, rng):
    """Of one unit, all sizes 1, no parameter 0."""
    layer = pylstm.Recurrent(cell, 1, 1, dtype="float64", seed=0, **dict.fromkeys(cell.contract.sizes, 1))
    for name in layer.params:
        if name not in cell.contract.constants:
            layer.params[name][...] += rng.uniform(0.2, 0.6, layer.params[name].shape)
    return layer


def known_of(cell, layer, x, initial, aux):
    """Shown name -> number, of all that has no equation; and that of each gate's linear map, by its equation."""
    contract, minus = cell.contract, "\u2212"
    known = {flow.shown(name): float(aux[name].item()) for name in contract.aux}
    known |= {flow.shown(name): float(np.ravel(layer.params[name])[0]) for name in contract.params}
    known |= {flow.before(contract, name): float(initial[name].item()) for name in contract.states}
    known |= {"x": float(x.item()), "H": 1.0, **{flow.shown(name): 1.0 for name in contract.sizes}}
    return {name.replace(minus, "-"): number for name, number in known.items()}


def linear(contract, layer, gate, known):
    """W x + U h + b."""
    total = float(layer.params["bias"][contract.biased.index(gate)]) if gate in contract.biased else 0.0
    for source in contract.gate_sources[gate]:
        name = flow.before(contract, source) if source in contract.states else flow.shown(source)
        weight = layer.params[f"weight_{source}"][contract.gates_of(source).index(gate)].item()
        total += weight * known[name.replace("\u2212", "-")]
    return total


def test_equations_give_the_states(cell):
    rng = np.random.default_rng(3)
    contract, boxes, layer = cell.contract, make_gallery.flow(cell), layer_of(cell, rng)
    x = rng.uniform(0.3, 0.9, (1, 1, 1))
    aux = {name: rng.uniform(0.3, 0.9, (1, 1, 1)) for name in contract.aux}
    initial = {name: rng.uniform(0.3, 0.9, (1, 1)) for name in contract.states}
    run = layer(x, initial=initial, aux={name: each for name, each in aux.items() if name != "x"})
    known = known_of(cell, layer, x, initial, {**aux, "x": x})
    assert len({box.name for box in boxes}) == len(boxes)
    assert not {box.name for box in boxes if box.equation} & set(known)
    for box in boxes:
        if not box.equation:
            continue
        equation = box.equation
        for gate in box.gates:
            text, _ = flow.preactivation(contract, gate)
            assert text in equation
            equation = equation.replace(text, "(gate)" if equation == text else "gate", 1)
            known["gate"] = linear(contract, layer, gate, known)
        for name in box.name.split(" = "):
            known[name] = value(equation, known)
    for name in contract.states:
        if name not in flow.lagged(contract):
            assert known[flow.shown(name)] == pytest.approx(float(run.final[name].item()), rel=2e-3, abs=1e-4), name
