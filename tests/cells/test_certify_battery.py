"""Backwards that are wrong in one corner only, as an author's slips are: certification refuses every one."""

from __future__ import annotations

import numpy as np
import pytest

import sample_cells as samples
from pylstm.cells import Cell, absolute, sqrt, tanh
from pylstm.cells.certification.certify import certify
from pylstm.cells.lstm import LSTM
from pylstm.cells.twin import call

pytestmark = pytest.mark.once


Elman, Everything, Chain = samples.Elman, samples.Everything, samples.Chain


def twin(cell, stage, change):
    """`cell`, whose backward of a stage returns what `change(out, s)` leaves of the right dict; s: all namespaces."""
    name = f"backward_{stage}" if stage else "backward"
    right = getattr(cell, name)

    def backward(d, y, prev, e, p, u):
        spaces = {"d": vars(d), "y": vars(y), "prev": vars(prev), "e": vars(e), "p": vars(p), "u": vars(u)}
        out = dict(call(right, **spaces))
        change(out, Spaces(spaces))
        return out

    return type(cell)(cell.__name__, (cell,), {name: backward, "kernel": None})


class Spaces:
    """``s.prev["c"]``."""

    def __init__(self, spaces):
        self.__dict__.update(spaces)


def where(condition, name, factor=0.0):
    """A cotangent that is scaled where `condition(s)` holds."""

    def change(out, s):
        out[name] = np.where(condition(s), factor * out[name], out[name])

    return change


def always(name, value):
    """A cotangent that is `value(out, s)`."""

    def change(out, s):
        out[name] = value(out, s)

    return change


def whenever(condition, name, factor=0.0):
    """A cotangent that is scaled in a whole call for which `condition(s)` holds."""

    def change(out, s):
        if condition(s):
            out[name] = factor * out[name]

    return change


def after(calls, name, factor=0.5):
    """Right for some calls, wrong from then on."""
    count = iter(range(10**9))

    def change(out, s):
        if next(count) >= calls:
            out[name] = factor * out[name]

    return change


def from_the_call_before(name, of):
    """Adds what the call before left, where the shapes fit."""
    left = {}

    def change(out, s):
        before, left[0] = left.get(0), np.array(s.d[of])
        if before is not None and before.shape == out[name].shape:
            out[name] = out[name] + 0.1 * (before - s.d[of])

    return change


def repeated(name):
    """Right at first, wrong when it is asked for the same with all outputs again."""
    seen = set()

    def change(out, s):
        key = b"".join(array.tobytes() for array in (*s.d.values(), *s.prev.values()))
        if key in seen and all(array.any() for array in s.d.values()):
            out[name] = 0.5 * out[name]
        seen.add(key)

    return change


def once(name):
    """The first result of a shape, for ever: what a static array gives."""
    kept = {}

    def change(out, s):
        out[name] = kept.setdefault((out[name].shape, out[name].dtype), np.array(out[name]))

    return change


def in_place(space, name):
    """Writes to what it may only read, in spite of all."""

    def change(out, s):
        array = getattr(s, space)[name]
        array *= 2

    return change


def drop(*names):
    def change(out, s):
        for name in names:
            del out[name]

    return change


def swap(one, other):
    def change(out, s):
        out[one], out[other] = out[other], out[one]

    return change


def rows(s):
    return len(next(iter(s.d.values())))


def units(s):
    return next(iter(s.d.values())).shape[1]


def single(s):
    return next(iter(s.d.values())).dtype == np.float32


TWINS = {
    # only where a previous state is small, 0, near 1, large
    "c small": (LSTM, "", where(lambda s: abs(s.prev["c"]) < 1e-2, "f", 0.5)),
    "c very small": (LSTM, "", where(lambda s: abs(s.prev["c"]) < 1e-5, "c")),
    "c exactly 0": (LSTM, "", where(lambda s: s.prev["c"] == 0, "c")),
    "c exactly 0, a little": (LSTM, "", where(lambda s: s.prev["c"] == 0, "c", 1 + 1e-6)),
    "c exactly 0 everywhere": (LSTM, "", whenever(lambda s: not s.prev["c"].any(), "c")),
    "h exactly 0, path of n": (Chain, "three", where(lambda s: s.prev["h"] == 0, "n")),
    "n small": (Chain, "one", where(lambda s: abs(s.prev["n"]) < 1e-3, "n", 2.0)),
    "m near 1": (Everything, "update", where(lambda s: abs(abs(s.prev["m"]) - 1) < 1e-2, "m")),
    "c near 1": (LSTM, "", where(lambda s: abs(abs(s.prev["c"]) - 1) < 1e-2, "c", 1.01)),
    "c above 1": (LSTM, "", where(lambda s: abs(s.prev["c"]) > 1.1, "c")),
    "c above 10": (LSTM, "", where(lambda s: abs(s.prev["c"]) > 10, "f")),
    "c negative": (LSTM, "", where(lambda s: s.prev["c"] < 0, "f", -1)),
    "all of a row's c small": (LSTM, "", where(lambda s: abs(s.prev["c"]).max(axis=1, keepdims=True) < 1e-2, "c")),
    "all of a call's c small": (LSTM, "", whenever(lambda s: abs(s.prev["c"]).max(initial=0) < 1e-2, "c")),
    # where a gate is far out, or 0
    "forget gate open": (LSTM, "", where(lambda s: s.y["f"] > 1 - 1e-6, "c", 0.9)),
    "forget gate shut": (LSTM, "", where(lambda s: s.y["f"] < 1e-6, "i", 0.5)),
    "output gate open": (LSTM, "", where(lambda s: s.y["o"] > 1 - 1e-12, "c")),
    "output gate shut": (LSTM, "", where(lambda s: s.y["o"] < 1e-12, "c", 2)),
    "block input saturated": (LSTM, "", where(lambda s: abs(s.y["g"]) > 0.999999, "i")),
    "block input between 4 and 8": (LSTM, "", where(lambda s: abs(abs(np.arctanh(s.y["g"])) - 6) < 2, "i", 0.5)),
    "forget gate between 5 and 6": (LSTM, "", where(lambda s: abs(np.log(s.y["f"] / (1 - s.y["f"])) - 5.5) < 0.5, "c")),
    "gates at 0": (LSTM, "", where(lambda s: s.y["g"] == 0, "g")),
    "linear gate far": (Chain, "one", where(lambda s: abs(s.y["a"]) > 9, "n")),
    "linear gate very far": (Chain, "one", where(lambda s: abs(s.y["a"]) > 39, "n")),
    "linear gate far, a little": (Chain, "one", where(lambda s: abs(s.y["a"]) > 9, "n", 1 + 1e-6)),
    "linear gate at 0": (Chain, "one", where(lambda s: s.y["a"] == 0, "a")),
    # where a parameter is small, 0, beyond 1, negative
    "parameter small": (Chain, "two", where(lambda s: abs(s.p["scale"]) < 1e-2, "scale")),
    "parameter 0": (Chain, "two", where(lambda s: s.p["scale"] == 0, "scale")),
    "all parameters small": (Chain, "two", whenever(lambda s: abs(s.p["scale"]).max() < 1e-2, "scale")),
    "parameter beyond 1": (Chain, "two", where(lambda s: abs(s.p["scale"]) > 1, "ea", 0.5)),
    "all parameters beyond 1": (Chain, "two", whenever(lambda s: abs(s.p["scale"]).min() > 1, "ea", 0.5)),
    "parameter negative": (Everything, "update", where(lambda s: s.p["decay"] < 0, "decay")),
    "parameter near 1": (Everything, "mix", where(lambda s: abs(abs(s.p["tilt"]) - 1) < 0.05, "s", 2)),
    # aux
    "aux above 1": (Everything, "update", where(lambda s: s.u["dt"] > 1.1, "decay")),
    "aux negative": (Everything, "mix", where(lambda s: s.u["dt"] < 0, "r", -1)),
    "aux 0": (Everything, "mix", where(lambda s: s.u["dt"] == 0, "dt")),
    "aux small": (Everything, "mix", where(lambda s: abs(s.u["dt"]) < 1e-3, "dt")),
    # emissions
    "emission small": (Everything, "update", where(lambda s: abs(s.e["w"]) < 1e-2, "w")),
    "emission above 1": (Everything, "update", where(lambda s: s.e["w"] > 1.1, "b", 0.5)),
    # dtypes, numbers of rows and units
    "float32 only": (LSTM, "", whenever(single, "f", 0.5)),
    "float32 a little": (LSTM, "", whenever(single, "f", 1.01)),
    "float64 only": (LSTM, "", whenever(lambda s: not single(s), "f", 0.5)),
    "one row": (LSTM, "", whenever(lambda s: rows(s) == 1, "f", 0.5)),
    "two rows": (Elman, "", whenever(lambda s: rows(s) == 2, "a", 0.5)),
    "more than 8 rows": (LSTM, "", whenever(lambda s: rows(s) > 8, "f", 0.5)),
    "more than 32 rows": (LSTM, "", whenever(lambda s: rows(s) > 32, "f", 0.5)),
    "an odd number of rows": (Elman, "", whenever(lambda s: rows(s) % 2, "a", 0.5)),
    "one unit": (LSTM, "", whenever(lambda s: units(s) == 1, "o")),
    "more than 16 units": (LSTM, "", whenever(lambda s: units(s) > 16, "o")),
    "whole registers": (Elman, "", whenever(lambda s: units(s) % 8 == 0, "a")),
    "the last unit of many": (LSTM, "", lambda out, s: out["g"][:, 32:].fill(0)),
    # memory
    "after 3 calls": (LSTM, "", after(3, "f")),
    "after 20 calls": (Elman, "", after(20, "a")),
    "every other call": (
        LSTM,
        "",
        (lambda count: lambda out, s: out.update(f=(1 + next(count) % 2) * out["f"]))(iter(range(10**9))),
    ),
    "what the call before left": (LSTM, "", from_the_call_before("o", "h")),
    "the first result for ever": (LSTM, "", once("c")),
    # not linear in the cotangent
    "clipped": (LSTM, "", always("c", lambda out, s: np.clip(out["c"], -1, 1))),
    "clipped far out": (Elman, "", always("a", lambda out, s: np.clip(out["a"], -1e6, 1e6))),
    "cut off when small": (LSTM, "", always("f", lambda out, s: np.where(abs(out["f"]) < 1e-9, 0, out["f"]))),
    "cotangent squared": (LSTM, "", always("o", lambda out, s: out["o"] + s.d["h"] * s.d["c"])),
    "an offset": (LSTM, "", always("f", lambda out, s: out["f"] + 1e-10)),
    "sign of the cotangent": (Elman, "", always("a", lambda out, s: np.where(s.d["h"] < 0, 0.5, 1) * out["a"])),
    # whole paths
    "direct path of the second state": (LSTM, "", drop("c")),
    "cotangent of the first emission": (Chain, "three", drop("ea")),
    "cotangent of the second emission": (Chain, "three", drop("eb")),
    "emission of the stage before": (Chain, "two", drop("ea")),
    "parameter": (Everything, "update", drop("decay")),
    "aux of the second stage": (Everything, "update", drop("dt")),
    "aux that is the input": (Everything, "update", drop("x")),
    "swapped": (LSTM, "", swap("i", "g")),
    "sign": (LSTM, "", always("f", lambda out, s: -out["f"])),
    "the recurrent product": (Elman, "", always("h", lambda out, s: 0.1 * s.d["h"])),
    "a tiny path": (LSTM, "", always("f", lambda out, s: out["f"] * (1 + 1e-9))),
    # rows, and what is only to be read
    "mean over rows": (LSTM, "", always("f", lambda out, s: out["f"] - out["f"].mean(axis=0))),
    "the first row in others": (LSTM, "", always("f", lambda out, s: out["f"] + 1e-9 * s.d["h"][:1])),
    "previous states": (LSTM, "", in_place("prev", "c")),
    "cotangents": (LSTM, "", in_place("d", "h")),
    "tape": (LSTM, "", in_place("y", "f")),
    "parameters": (Chain, "two", in_place("p", "scale")),
}


@pytest.mark.parametrize("case", TWINS)
def test_a_wrong_twin_is_refused(case):
    cell, stage, change = TWINS[case]
    assert not certify(twin(cell, stage, change), raise_=False).ok


BESIDE_A_KERNEL = {
    "nothing": lambda out, s: None,
    "one row": whenever(lambda s: rows(s) == 1, "f", 0.5),
    **{f"{n} rows": whenever(lambda s, n=n: rows(s) == n, "f", 0.5) for n in (2, 3, 4, 5, 8, 9, 16, 17)},
    "clipped": always("f", lambda out, s: np.clip(out["f"], -1e6, 1e6)),
    "cut off": always("f", lambda out, s: np.where(abs(out["f"]) < 1e-9, 0, out["f"])),
    "the same call again": repeated("f"),
}


@pytest.mark.parametrize("case", BESIDE_A_KERNEL)
def test_a_twin_beside_a_kernel_is_held_to_the_same(case):
    """The time loop never runs it, but kernels are compared with it."""
    changed = twin(LSTM, "", BESIDE_A_KERNEL[case])
    changed.kernel = LSTM.kernel
    certificate = certify(changed, raise_=False)
    assert {path.form for path in certificate.failures} == (set() if case == "nothing" else {"twin"})


@pytest.mark.parametrize("cell", [LSTM, Elman, Everything, Chain], ids=lambda cell: cell.name)
def test_nothing_changed_nothing_refused(cell):
    for stage in cell.contract.stages:
        assert certify(twin(cell, stage.name, lambda out, s: None)).ok


class Clipped(Cell):
    """Forward clips its state at 3; backward knows it."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        return dict(h=np.clip(prev.h + tanh(z.a), -3, 3))

    def backward(d, y, prev):
        inside = abs(prev.h + np.tanh(y.a)) < 3
        return dict(a=d.h * inside * (1 - np.tanh(y.a) ** 2), h=d.h * inside)


def test_a_clip_that_backward_does_not_know():
    assert certify(Clipped).ok
    for name in ("a", "h"):
        wrong = {
            "a": lambda d, y, prev: dict(Clipped.backward(d, y, prev), a=d.h * (1 - np.tanh(y.a) ** 2)),
            "h": lambda d, y, prev: dict(Clipped.backward(d, y, prev), h=d.h),
        }[name]
        assert not certify(type(Cell)("Clipped", (Clipped,), {"backward": wrong}), raise_=False).ok


class Soft(Cell):
    """Right, and steep at 0: float32 loses most of its digits in the derivative of the quotient."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        return dict(h=tanh(z.a) + prev.h / (absolute(prev.h) + 1e-3))


class Liquid(Cell):
    """A liquid time constant: six Euler steps of the fused solver in one step of the loop."""

    states = ("h",)
    gates = {"a": "x+h", "f": "x+h"}
    params = ("tau", "goal")

    def forward(z, prev, p):
        h, f = prev.h, 1 / (1 + absolute(z.f))
        for _ in range(6):
            h = (h + 0.1 * f * (p.goal + tanh(z.a))) / (1 + 0.1 * (1 / (0.1 + absolute(p.tau)) + f))
        return dict(h=h)


@pytest.mark.parametrize("cell", [Soft, Liquid, LSTM, Elman, Everything, Chain], ids=lambda cell: cell.name)
def test_right_formulas_pass(cell):
    assert certify(cell).ok


def test_a_gradient_that_is_not_finite_at_a_kink_is_noted():
    class Root(Cell):
        states = ("h",)
        gates = {"z": "x"}

        def forward(z, prev):
            return dict(h=tanh(z.z) + 0.5 * sqrt(prev.h**2))

    certificate = certify(Root)
    assert any("d h / d previous h is not finite where previous zero" in note for note in certificate.notes)
