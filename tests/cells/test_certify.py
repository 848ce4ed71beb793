"""Every planted mistake is found, and named by its path; what is right passes."""

from __future__ import annotations

import importlib.util
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from pylstm.cells import Cell, relu
from pylstm.cells.certificate import CertificationError
from pylstm.cells.certify import certify
from pylstm.cells.lstm import LSTM
from pylstm.cells.twin import call


def load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


samples, python_kernel = load("sample_cells"), load("python_kernel")
Chain, Everything = samples.Chain, samples.Everything


def faults(certificate, form):
    """Path name -> fault, of one form."""
    return {path.name: path.fault for path in certificate.failures if path.form == form}


@pytest.mark.parametrize("cell", [LSTM, samples.Elman, Everything, Chain], ids=lambda cell: cell.name)
def test_right_cells_pass(cell):
    certificate = certify(cell)
    assert certificate.ok and "certified" in certificate.message()
    checked = {path.name for path in certificate.paths}
    contract = cell.contract
    for stage in contract.stages:
        for output in stage.emits or contract.states:
            assert {f"d {output} / d gate {gate}" for gate in stage.gates} <= checked
            assert {f"d {output} / d previous {state}" for state in contract.states} <= checked
            assert {f"d {output} / d param {name}" for name in contract.params} <= checked
            assert {f"d {output} / d aux {name}" for name in contract.aux} <= checked


@pytest.mark.parametrize("cell", [LSTM, Everything, Chain], ids=lambda cell: cell.name)
def test_right_kernels_pass(cell):
    class Compiled(cell):
        kernel = python_kernel.capsule(cell.contract, python_kernel.twin_stages(cell))

    certificate = certify(Compiled)
    forms = {path.form for path in certificate.paths}
    assert {"twin", "kernel float32", "kernel float64", "kernel float64, 35 units"} <= forms


def planted_twin(cell, function_name, change):
    """`cell` whose function returns what `change(out, d, y, prev, p)` leaves of the right dict."""
    original = getattr(cell, function_name)
    if function_name.startswith("forward"):

        def wrong(z, prev, e, p, u):
            out = call(original, z=vars(z), prev=vars(prev), e=vars(e), p=vars(p), u=vars(u))
            change(out, z, prev, p)
            return out
    else:

        def wrong(d, y, prev, e, p, u):
            out = call(original, d=vars(d), y=vars(y), prev=vars(prev), e=vars(e), p=vars(p), u=vars(u))
            change(out, d, y, prev, p)
            return out

    return type(cell)(cell.__name__, (cell,), {function_name: wrong, "kernel": None})


def drop(name):
    def change(out, *_):
        del out[name]

    return change


def scale(name, factor):
    def change(out, *_):
        out[name] = factor * out[name]

    return change


def swap(one, other):
    def change(out, *_):
        out[one], out[other] = out[other], out[one]

    return change


def without_output_path(out, d, y, prev, p):
    """The LSTM's dc without the path through h."""
    out |= {"i": d.c * y.g * y.i * (1 - y.i), "f": d.c * prev.c * y.f * (1 - y.f), "c": d.c * y.f}


def softmax_without_coupling(out, d, y, prev, p):
    out["s"] = d.w * y.w * p.tilt


def assign(**items):
    def change(out, *_):
        out |= items

    return change


TWINS = {
    "missing term": (
        (LSTM, "backward", without_output_path),
        {f"d h / d {name}": "missing?" for name in ("gate i", "gate f", "previous c")},
    ),
    "swapped gates": (
        (LSTM, "backward", swap("i", "g")),
        {
            "d h / d gate i": "that of gate g",
            "d h / d gate g": "that of gate i",
            "d c / d gate i": "that of gate g",
            "d c / d gate g": "that of gate i",
        },
    ),
    "sign": ((LSTM, "backward", scale("f", -1)), {"d h / d gate f": "sign", "d c / d gate f": "sign"}),
    "factor": ((LSTM, "backward", scale("o", 2)), {"d h / d gate o": "factor 2.000"}),
    "direct path": (
        (LSTM, "backward", drop("c")),
        {"d h / d previous c": "missing?", "d c / d previous c": "missing?"},
    ),
    "a path that is not there": (
        (LSTM, "backward", lambda out, d, *_: out.update(h=0.1 * d.h)),
        {"d h / d previous h": "should be zero"},
    ),
    "not linear in d": (
        (LSTM, "backward", lambda out, d, *_: out.update(o=out["o"] + d.h * d.c)),
        {"d all outputs / d gate o": "wrong"},
    ),
    "param": ((Everything, "backward_mix", drop("tilt")), {"d w / d param tilt": "missing?"}),
    "aux": ((Everything, "backward_mix", drop("dt")), {"d q / d aux dt": "missing?"}),
    "input as aux": ((Everything, "backward_update", drop("x")), {"d m / d aux x": "missing?"}),
    "emission": ((Everything, "backward_update", drop("w")), {"d h / d emission w": "missing?"}),
    "emission of the first of three": (
        (Chain, "backward_three", drop("ea")),
        {"d h / d emission ea": "missing?"},
    ),
    "other state": ((Chain, "backward_one", scale("n", 0.5)), {"d ea / d previous n": "factor 0.500"}),
    "coupled units": ((Everything, "backward_mix", softmax_without_coupling), {"d w / d gate s": "wrong"}),
    "gate not returned": (
        (LSTM, "backward", drop("o")),
        {
            "backward, o": "the cotangent of every gate of the stage must be returned",
            "d h / d gate o": "missing?",
        },
    ),
    "unknown name": (
        (LSTM, "backward", lambda out, *_: out.update(tanh_c=out["c"])),
        {"backward, tanh_c": "is not an input of this stage"},
    ),
    "shape": (
        (Everything, "backward_mix", lambda out, *_: out.update(dt=out["r"])),
        {
            "d q / d aux dt": "shape (3, 4), expected (3, 1)",
            "d w / d aux dt": "shape (3, 4), expected (3, 1)",
        },
    ),
    "state not returned": ((LSTM, "forward", drop("c")), {"forward, c": "must be returned"}),
    "kept value not returned": (
        (type(Cell)("NoNorm", (Everything,), {"backward_mix": None}), "forward_mix", drop("norm")),
        {"kept norm": "no stage returns it"},
    ),
    "not finite": (
        (LSTM, "forward", lambda out, *_: out.update(h=out["h"] * np.nan)),
        {"forward, h": "is not finite on random numbers between 0.3 and 0.9"},
    ),
    "rows mixed": (
        (LSTM, "forward", lambda out, *_: out.update(h=out["h"] - out["h"].mean(axis=0))),
        None,
    ),
    "forward in place": (
        (LSTM, "forward", lambda out, z, prev, p: prev.c.__imul__(2)),
        {"forward": "raises ValueError: output array is read-only"},
    ),
}


@pytest.mark.parametrize("case", TWINS)
def test_planted_in_the_twin(case):
    plant, expected = TWINS[case]
    wrong = planted_twin(*plant)
    found = faults(certify(wrong, raise_=False), "twin")
    if expected is None:
        rows = {name: fault for name, fault in found.items() if "rows" in name}
        assert len(rows) == 2 and set(rows.values()) == {"the rows are not kept apart"}
    else:
        assert found == expected
    with pytest.raises(CertificationError) as caught:
        certify(wrong)
    assert all(name in str(caught.value) for name in found)


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
        {"d h / d gate i": "not written", "d c / d gate i": "not written"},
    ),
    "gate derivative in one row": (
        (LSTM, 0, 1, lambda blocks, before: blocks["dgates"]["o"][-1:].fill(np.nan)),
        {"d h / d gate o": "not written, or NaN, in places", "d c / d gate o": "not written, or NaN, in places"},
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
            assert found == {f"{direction}, rows: NaN in row 0 changes other rows": APART}
        else:
            assert found == expected


def test_a_mistake_that_only_wide_rows_show():
    wrong = planted_kernel(LSTM, 0, 1, lambda blocks, before: blocks["dgates"]["f"][:, 16:].fill(0))
    found = faults(certify(wrong, raise_=False), "kernel float64, 35 units")
    assert found.keys() == {"d h / d gate f", "d c / d gate f"}


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
    with pytest.raises(CertificationError, match="it offers float64"):
        certify(cell, dtype="float32")


def test_a_kernel_without_twin_is_refused():
    cell = type(Cell)("LSTM", (LSTM,), {"forward": None, "backward": None})
    with pytest.raises(CertificationError, match="needs a NumPy twin"):
        certify(cell)


def test_without_backward_only_forward_is_certified():
    certificate = certify(type(Cell)("LSTM", (LSTM,), {"backward": None, "kernel": None}))
    assert any("no backward" in note for note in certificate.notes)
    assert not any(path.name.startswith("d ") for path in certificate.paths)


class NotAnalytic(Cell):
    """`np.abs` and `np.maximum` drop or keep the imaginary part as they like: differences must take over."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        return dict(h=relu(z.a) * np.abs(prev.h))

    def backward(d, y, prev):
        return dict(a=d.h * np.abs(prev.h) * (y.a > 0), h=d.h * relu(y.a) * np.sign(prev.h))


class Positive(Cell):
    """Finite for positive previous states only."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        return dict(h=z.a + np.sqrt(prev.h))

    def backward(d, y, prev):
        return dict(a=d.h, h=d.h / (2 * np.sqrt(prev.h)))


@pytest.mark.parametrize(
    "cell, notes", [(NotAnalytic, 2), (Positive, 1)], ids=lambda value: getattr(value, "name", value)
)
def test_twins_that_need_care(cell, notes):
    certificate = certify(cell)
    assert len(certificate.notes) == notes
    wrong = planted_twin(cell, "backward", scale("h", -1))
    assert faults(certify(wrong, raise_=False), "twin") == {"d h / d previous h": "sign"}


def test_extra_sizes():
    class Projected(samples.Elman):
        sizes = {"size": None}
        widths = {"a": "size", "h": "size"}

    assert certify(Projected).ok and certify(Projected, size=9).ok
    with pytest.raises(TypeError, match="no size"):
        certify(Projected, other=3)


def test_message_names_path_form_and_numbers():
    wrong = planted_twin(LSTM, "backward", drop("c"))
    with pytest.raises(
        CertificationError, match=r"d c / d previous c: twin 0, complex steps -?0\.\d+ at row \d, unit \d"
    ):
        certify(wrong)


@pytest.mark.slow
def test_certifying_the_lstm_is_quick():
    def seconds():
        start = time.perf_counter()
        certify(LSTM)
        return time.perf_counter() - start

    assert statistics.median(seconds() for _ in range(9)) < 0.1
