"""Every mistake planted in a kernel is found, and named by its path; right kernels pass."""

from __future__ import annotations

import numpy as np
import pytest

import python_kernel
import sample_cells as samples
from pylstm.cells import Cell
from pylstm.cells.certification.certificate import CertificationError
from pylstm.cells.certification.certify import certify
from pylstm.cells.lstm import LSTM
from pylstm.cells.twin import twin_kernel

pytestmark = pytest.mark.once


Chain, Everything = samples.Chain, samples.Everything


def faults(certificate, form):
    """Path name -> fault, of one form."""
    return {path.name: path.fault for path in certificate.failures if path.form == form}


@pytest.mark.parametrize("cell", [LSTM, Everything, Chain], ids=lambda cell: cell.name)
def test_right_kernels_pass(cell):
    class Compiled(cell):
        kernel = python_kernel.capsule(cell.contract, python_kernel.twin_stages(cell))

    certificate = certify(Compiled)
    assert {"twin", "kernel float32", "kernel float64"} <= {path.form for path in certificate.paths}
    for units in ("1 unit", "16 units", "35 units"):
        assert {"twin", "kernel float32", "kernel float64"} == {
            path.form for path in certificate.paths if path.name.endswith(f"gate {cell.contract.gates[0]}, {units}")
        }


@pytest.mark.parametrize("cell", [LSTM, samples.Elman, Everything, Chain], ids=lambda cell: cell.name)
def test_the_twin_as_a_kernel_keeps_the_contract(cell):
    """What runs a cell without kernel in the compiled loop is held to the same rules as a compiled kernel."""

    class Fallback(cell):
        kernel = twin_kernel(cell)

    assert {path.form for path in certify(Fallback).paths} >= {"kernel float32", "kernel float64"}


def planted_kernel(cell, stage, direction, change, **kwargs):
    """`cell` with a kernel that is right but for what `change(blocks, before)` does after the hook."""
    stages = python_kernel.twin_stages(cell)
    original = stages[stage][direction]

    def wrong(blocks):
        before = {kind: {name: array.copy() for name, array in each.items()} for kind, each in blocks.items()}
        original(blocks)
        change(blocks, before)

    stages[stage] = (wrong, stages[stage][1]) if direction == 0 else (stages[stage][0], wrong)
    return type(Cell)(cell.__name__, (cell,), {"kernel": python_kernel.capsule(cell.contract, stages, **kwargs)})


def set_to(kind, name, value):
    """Replace a block by value(what the hook made of it, what was there, all blocks)."""

    def change(blocks, before):
        blocks[kind][name][:] = value(blocks[kind][name], before[kind][name], blocks)

    return change


def undone(kind, name):
    return set_to(kind, name, lambda now, before, blocks: before)


def written_not_added(kind, name):
    return set_to(kind, name, lambda now, before, blocks: now - before)


WRITTEN = "written, not added: the hook must add to what is there"
APART = "the rows are not kept apart"
NOT_THERE = "changed: the hook may not write there"
KERNELS = {
    "gate value": (
        (LSTM, 0, 0, set_to("gates", "f", lambda now, before, blocks: 2 * now)),
        {"gate f": "factor 2.000"},
    ),
    "gate not activated": ((LSTM, 0, 0, undone("gates", "g")), {"gate g": "wrong"}),
    "kept value not written": ((LSTM, 0, 0, undone("keep", "tanh_c")), {"keep tanh_c": "not written"}),
    "state not written": ((LSTM, 0, 0, undone("states", "c")), {"new c": "not written"}),
    "emission": (
        (Everything, 0, 0, set_to("emissions", "w", lambda now, before, blocks: -now)),
        {"emission w": "sign"},
    ),
    "forward writes prev": (
        (LSTM, 0, 0, set_to("prev", "c", lambda now, before, blocks: 0 * now)),
        {"forward, prev c": NOT_THERE},
    ),
    "forward writes another stage's gate": (
        (Chain, 1, 0, set_to("gates", "a", lambda now, before, blocks: blocks["gates"]["b"])),
        {"forward_two, gates a": NOT_THERE},
    ),
    "last row looks at the first": (
        (LSTM, 0, 0, set_to("states", "h", lambda now, before, blocks: now + 1e-30 * now[:1])),
        None,
    ),
    "gate derivative missing": (
        (LSTM, 0, 1, set_to("dgates", "f", lambda now, before, blocks: 0)),
        {"d h / d gate f": "missing?", "d c / d gate f": "missing?"},
    ),
    "gate derivative not written": (
        (LSTM, 0, 1, undone("dgates", "i")),
        {
            "d h / d gate i": "not written",
            "d c / d gate i": "not written",
        },
    ),
    "gate derivative in one row": (
        (LSTM, 0, 1, lambda blocks, before: blocks["dgates"]["o"][-1:].fill(np.nan)),
        {
            "d h / d gate o": "not written",
            "d c / d gate o": "not written",
            "backward, rows: a row depends on the number of rows": APART,
        },
    ),
    "gates swapped": (
        (LSTM, 0, 1, lambda blocks, before: _swap(blocks["dgates"], "i", "g")),
        {
            "d h / d gate i": "that of gate g",
            "d h / d gate g": "that of gate i",
            "d c / d gate i": "that of gate g",
            "d c / d gate g": "that of gate i",
        },
    ),
    "sign": (
        (LSTM, 0, 1, set_to("dgates", "g", lambda now, before, blocks: -now)),
        {"d h / d gate g": "sign", "d c / d gate g": "sign"},
    ),
    "direct path missing": (
        (LSTM, 0, 1, undone("dprev", "c")),
        {"d h / d previous c": "missing?", "d c / d previous c": "missing?"},
    ),
    "direct path written": ((LSTM, 0, 1, written_not_added("dprev", "c")), {"d all outputs / d previous c": WRITTEN}),
    "no path, but zero written": (
        (LSTM, 0, 1, set_to("dprev", "h", lambda now, before, blocks: 0)),
        {"d all outputs / d previous h": WRITTEN},
    ),
    "param missing": ((Everything, 0, 1, undone("dparams", "tilt")), {"d w / d param tilt": "missing?"}),
    "param written": (
        (Everything, 1, 1, written_not_added("dparams", "decay")),
        {"d all outputs / d param decay": WRITTEN},
    ),
    "aux missing": ((Everything, 0, 1, undone("daux", "dt")), {"d q / d aux dt": "missing?"}),
    "aux written": ((Everything, 1, 1, written_not_added("daux", "x")), {"d all outputs / d aux x": WRITTEN}),
    "emission missing": ((Chain, 2, 1, undone("demissions", "ea")), {"d h / d emission ea": "missing?"}),
    "emission written": (
        (Chain, 1, 1, written_not_added("demissions", "ea")),
        {"d all outputs / d emission ea": WRITTEN},
    ),
    "backward writes the tape": (
        (LSTM, 0, 1, set_to("gates", "f", lambda now, before, blocks: 0 * now)),
        {"backward, gates f": NOT_THERE},
    ),
    "rows in backward": (
        (LSTM, 0, 1, set_to("dgates", "o", lambda now, before, blocks: now + 1e-30 * now[:1])),
        None,
    ),
}


def _swap(blocks, one, other):
    first = blocks[one].copy()
    blocks[one][:] = blocks[other]
    blocks[other][:] = first


@pytest.mark.parametrize("case", KERNELS)
def test_planted_in_the_kernel(case):
    plant, expected = KERNELS[case]
    certificate = certify(planted_kernel(*plant), raise_=False)
    assert not faults(certificate, "twin")
    for form in ("kernel float32", "kernel float64"):
        found = faults(certificate, form)
        if expected is None:
            direction = ("forward", "backward")[plant[2]]
            assert found[f"{direction}, rows: NaN in row 0 changes other rows"] == APART
            assert set(found.values()) == {APART}
        else:
            assert found == expected


def test_a_mistake_that_only_wide_rows_show():
    wrong = planted_kernel(LSTM, 0, 1, lambda blocks, before: blocks["dgates"]["f"][:, 16:].fill(0))
    found = faults(certify(wrong, raise_=False), "kernel float64")
    assert found.keys() == {"d h / d gate f, 35 units", "d c / d gate f, 35 units"}


@pytest.mark.parametrize(
    "kwargs, text",
    [({"gates": 3}, "gates: 3 in the kernel, 4 declared"), ({"abi": 2}, "cell ABI 2"), ({"size": 8}, "bytes")],
)
def test_declaration_of_the_capsule(kwargs, text):
    stages = python_kernel.twin_stages(LSTM)
    kernel = python_kernel.capsule(LSTM.contract, stages, **kwargs)
    certificate = certify(type(Cell)("LSTM", (LSTM,), {"kernel": kernel}), raise_=False)
    (failure,) = certificate.failures
    assert failure.name == "blocks and ABI" and text in failure.fault


def test_a_kernel_without_backward_is_refused():
    ((forward, _),) = python_kernel.twin_stages(LSTM)
    kernel = python_kernel.capsule(LSTM.contract, [(forward, None)])
    with pytest.raises(CertificationError, match="has no backward hook"):
        certify(type(Cell)("LSTM", (LSTM,), {"kernel": kernel}))


def test_one_dtype():
    kernel = python_kernel.capsule(LSTM.contract, python_kernel.twin_stages(LSTM), dtypes=("float64",))
    cell = type(Cell)("LSTM", (LSTM,), {"kernel": kernel})
    assert {path.form.split(",")[0] for path in certify(cell).paths} == {"twin", "kernel", "kernel float64"}
    with pytest.raises(CertificationError, match="supports float64"):
        certify(cell, dtype="float32")
