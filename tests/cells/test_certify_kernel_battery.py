"""Kernels that are wrong in one corner only: certification refuses every one."""

from __future__ import annotations

import numpy as np
import pytest

import python_kernel
import sample_cells as samples
from pylstm.cells import Cell, tanh
from pylstm.cells.certification.certify import certify
from pylstm.cells.lstm import LSTM

pytestmark = pytest.mark.once


Elman, Everything, Chain = samples.Elman, samples.Everything, samples.Chain


def kernel(cell, stage, direction, change):
    """`cell` with a kernel that is right but for what `change(blocks)` does after the hook."""
    stages = python_kernel.twin_stages(cell)
    right = stages[stage][direction]

    def wrong(blocks):
        right(blocks)
        change(blocks)

    stages[stage] = (wrong, stages[stage][1]) if direction == 0 else (stages[stage][0], wrong)
    return type(Cell)(cell.__name__, (cell,), {"kernel": python_kernel.capsule(cell.contract, stages)})


def scaled(kind, name, condition, factor=0.0):
    def change(blocks):
        block = blocks[kind][name]
        block[:] = np.where(condition(blocks), factor * block, block)

    return change


def remembered(kind, name, of):
    """What forward left in a static variable, read by backward."""
    left = {}

    def forward(blocks):
        left["of"] = np.array(blocks[of[0]][of[1]])

    def backward(blocks):
        block = blocks[kind][name]
        if left["of"].shape == block.shape:
            block += 0.1 * (left["of"] - blocks[of[0]][of[1]])

    return forward, backward


def touched(kind, name, by=1.0):
    def change(blocks):
        blocks[kind][name][...] += by

    return change


def b_rows(b):
    return len(b["dgates"]["o"])


def small_rows(b):
    """Adds a little to the parameter's cotangent in rows that are lost in the sum over rows."""
    ea = b["emissions"]["ea"]
    each = b["demissions"]["eb"] * b["gates"]["b"] * ea
    b["dparams"]["scale"] += 1e-7 * each[np.abs(ea).max(axis=1) < 1e-2].sum(axis=0)


KERNELS = {
    "c small": (LSTM, 0, 1, scaled("dgates", "f", lambda b: abs(b["prev"]["c"]) < 1e-2, 0.5)),
    "c exactly 0": (LSTM, 0, 1, scaled("dprev", "c", lambda b: b["prev"]["c"] == 0)),
    "c near 1": (LSTM, 0, 1, scaled("dgates", "f", lambda b: abs(b["prev"]["c"] - 1) < 1e-2)),
    "gate far out": (LSTM, 0, 1, scaled("dprev", "c", lambda b: b["gates"]["f"] > 1 - 1e-6)),
    "aux above 1": (Everything, 1, 1, scaled("dprev", "m", lambda b: b["aux"]["dt"] > 1.1)),
    "parameter small": (Chain, 1, 1, scaled("dgates", "b", lambda b: abs(b["params"]["scale"]) < 1e-2)),
    "parameter beyond 1": (Chain, 1, 1, scaled("dgates", "b", lambda b: abs(b["params"]["scale"]) > 1.1)),
    "one row": (LSTM, 0, 1, scaled("dgates", "o", lambda b: b_rows(b) == 1)),
    "more than 8 rows": (LSTM, 0, 1, scaled("dgates", "o", lambda b: b_rows(b) > 8)),
    "more than 16 units": (LSTM, 0, 1, scaled("dgates", "o", lambda b: b["dgates"]["o"].shape[1] > 16)),
    "one unit": (LSTM, 0, 1, scaled("dgates", "o", lambda b: b["dgates"]["o"].shape[1] == 1)),
    "float32": (LSTM, 0, 1, scaled("dgates", "o", lambda b: b["dgates"]["o"].dtype == np.float32, 1.001)),
    "cotangents of 0": (Elman, 0, 1, lambda b: b["dgates"]["a"].__iadd__(1e-3 * (b["dstates"]["h"] == 0))),
    "0 / 0 of cotangents": (Elman, 0, 1, lambda b: b["dgates"]["a"].__imul__(b["dstates"]["h"] / b["dstates"]["h"])),
    "parameter for cotangents of 0": (
        Chain,
        1,
        1,
        lambda b: b["dparams"]["scale"].__iadd__(1e-3 * (b["demissions"]["eb"] == 0).sum(axis=0)),
    ),
    "clipped": (LSTM, 0, 1, lambda b: np.clip(b["dgates"]["o"], -10, 10, b["dgates"]["o"])),
    "cut off": (LSTM, 0, 1, scaled("dgates", "o", lambda b: abs(b["dgates"]["o"]) < 1e-10)),
    "value where c is small": (LSTM, 0, 0, scaled("states", "h", lambda b: abs(b["prev"]["c"]) < 1e-2, 1.01)),
    "value in float32": (LSTM, 0, 0, scaled("states", "h", lambda b: b["states"]["h"].dtype == np.float32, 1.001)),
    "forward writes a parameter": (Chain, 1, 0, touched("params", "scale")),
    "forward writes a parameter of another stage": (Everything, 0, 0, touched("params", "decay")),
    "backward writes a parameter": (Chain, 1, 1, touched("params", "scale")),
    "backward writes a cotangent": (LSTM, 0, 1, touched("dstates", "h")),
    "backward writes an aux": (Everything, 1, 1, touched("aux", "dt")),
    "backward writes the tape": (LSTM, 0, 1, touched("gates", "i")),
    "parameter of the last row alone": (
        Chain,
        1,
        1,
        lambda b: b["dparams"]["scale"].__isub__((b["demissions"]["eb"] * b["gates"]["b"] * b["emissions"]["ea"])[0]),
    ),
    "parameter where the emission is small": (Chain, 1, 1, small_rows),
    "reads the row below": (LSTM, 0, 1, lambda b: b["dgates"]["o"][:1].__iadd__(1e-9 * b["dgates"]["o"][-1:])),
}


@pytest.mark.parametrize("cell", [LSTM, Elman, Everything, Chain], ids=lambda cell: cell.name)
def test_nothing_changed_nothing_refused(cell):
    for k in range(len(cell.contract.stages)):
        for direction in (0, 1):
            assert certify(kernel(cell, k, direction, lambda blocks: None)).ok


@pytest.mark.parametrize("case", KERNELS)
def test_a_wrong_kernel_is_refused(case):
    certificate = certify(kernel(*KERNELS[case]), raise_=False)
    assert {path.form.split()[0] for path in certificate.failures} == {"kernel"}


class Formula(Cell):
    """Its backward is derived."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        return dict(h=0.5 * prev.h + tanh(z.a))


def test_a_kernel_of_a_formula_is_held_to_its_digits():
    """What is granted where numbers of all sizes meet is granted nowhere else."""
    assert certify(kernel(Formula, 0, 1, lambda blocks: None)).ok
    wrong = kernel(Formula, 0, 1, scaled("dgates", "a", lambda b: np.isfinite(b["gates"]["a"]), 1 + 1e-6))
    assert not certify(wrong, raise_=False).ok


class Waves(Cell):
    """1024 h is exact: the twin does not round what it takes the cosine of."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        return dict(h=z.a + np.sin(1024 * prev.h) / 1024)

    def backward(d, y, prev):
        return dict(a=d.h, h=d.h * np.cos(1024 * prev.h))


def test_a_kernel_may_round_what_it_reads():
    """A last digit of h is five of the cosine: what it does to the twin, a kernel may do as well."""

    def rounded(b):
        h, d = b["prev"]["h"], b["dstates"]["h"]
        off = np.cos(1024 * h * (1 + np.finfo(h.dtype).eps)) - np.cos(1024 * h)
        b["dprev"]["h"] += np.where(np.abs(h) < 1, d * off, 0)

    assert certify(kernel(Waves, 0, 1, rounded)).ok


def test_what_forward_left_is_not_there_in_backward():
    """In a run all steps go forward before the last goes back: a kernel that remembers its last call is wrong."""
    forward, backward = remembered("dgates", "o", ("gates", "f"))
    stages = python_kernel.twin_stages(LSTM)
    right = stages[0]

    def both(way, change):
        def hook(blocks):
            right[way](blocks)
            change(blocks)

        return hook

    stages[0] = both(0, forward), both(1, backward)
    cell = type(Cell)("LSTM", (LSTM,), {"kernel": python_kernel.capsule(LSTM.contract, stages)})
    assert not certify(cell, raise_=False).ok
