"""Every planted mistake is found, and named by its path; what is right passes."""

from __future__ import annotations

import numpy as np
import pytest

import sample_cells as samples
from pylstm.cells import Cell, relu, tanh
from pylstm.cells.certification.certificate import CertificationError
from pylstm.cells.certification.certify import certify
from pylstm.cells.lstm import LSTM
from pylstm.cells.twin import call

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

    backward = function_name.replace("forward", "backward")  # given anew: a new forward alone would be a formula
    return type(cell)(cell.__name__, (cell,), {backward: getattr(cell, backward), function_name: wrong, "kernel": None})


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
            "d q / d aux dt": "shape (49, 4), expected (49, 1)",
            "d w / d aux dt": "shape (49, 4), expected (49, 1)",
        },
    ),
    "state not returned": ((LSTM, "forward", drop("c")), {"forward, c": "must be returned"}),
    "something else returned": (
        (LSTM, "forward", lambda out, *_: out.update(extra=out["h"])),
        {"forward, extra": "is not a gate, kept value or output of this stage"},
    ),
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
    "backward in place": (
        (LSTM, "backward", lambda out, d, y, prev, p: y.i.__imul__(2)),
        {"backward": "raises ValueError: output array is read-only"},
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


def test_a_kernel_without_twin_is_refused():
    cell = type(Cell)("LSTM", (LSTM,), {"forward": None, "backward": None})
    with pytest.raises(CertificationError, match="the cell defines no `forward`"):
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


class HardSigmoid(Cell):
    """Clipped at -3 and 3: the row of large pre-activations is beyond."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        return dict(h=np.clip(z.a / 6 + 0.5, 0, 1) * prev.h)

    def backward(d, y, prev):
        return dict(a=d.h * prev.h / 6 * (np.abs(y.a) < 3), h=d.h * np.clip(y.a / 6 + 0.5, 0, 1))


def test_the_clipped_part_of_an_activation_is_reached():
    assert certify(HardSigmoid).ok
    unclipped = type(Cell)(
        "Unclipped",
        (HardSigmoid,),
        {"backward": lambda d, y, prev: dict(HardSigmoid.backward(d, y, prev), a=d.h * prev.h / 6)},
    )
    assert faults(certify(unclipped, raise_=False), "twin").keys() == {"d h / d gate a"}


class Positive(Cell):
    """Finite for positive previous states only."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        return dict(h=z.a + np.sqrt(prev.h))

    def backward(d, y, prev):
        return dict(a=d.h, h=d.h / (2 * np.sqrt(prev.h)))


@pytest.mark.parametrize(
    "cell, notes", [(NotAnalytic, 2), (Positive, 2)], ids=lambda value: getattr(value, "name", value)
)
def test_twins_that_need_care(cell, notes):
    certificate = certify(cell)
    assert len(certificate.notes) == notes
    wrong = planted_twin(cell, "backward", scale("h", -1))
    (found,) = faults(certify(wrong, raise_=False), "twin").items()
    assert found[0] == "d h / d previous h" and found[1] in ("sign", "wrong")  # no clean factor beside the root's pole


def test_extra_sizes():
    class Projected(samples.Elman):
        sizes = {"size": None}
        widths = {"a": "size", "h": "size"}

    assert certify(Projected).ok and certify(Projected, size=9).ok
    with pytest.raises(TypeError, match=r"neither a size nor an option .other."):
        certify(Projected, other=3)


def test_message_names_path_form_and_numbers():
    wrong = planted_twin(LSTM, "backward", drop("c"))
    with pytest.raises(
        CertificationError, match=r"d c / d previous c: twin 0, complex steps -?0\.\d+ at row \d, unit \d"
    ):
        certify(wrong)


def test_a_pole_nearby_is_no_reason_to_leave_complex_steps():
    """Where the third derivative is large the coarse differences are bad; the complex steps are not."""

    class Pole(Cell):
        states = ("h",)
        gates = {"g": "x"}

        def forward(z, prev):
            return dict(h=tanh(z.g) / (0.95 - prev.h))

    certificate = certify(Pole, hidden_size=40)
    assert certificate.ok
    assert not any("differences" in note for note in certificate.notes)
