"""A forward that is another one in a dtype is refused; one that the dtype only rounds is not."""

from __future__ import annotations

import numpy as np
import pytest

from pylstm.cells import Cell, expm1, log1p, tanh
from pylstm.cells.certification.certify import certify

SINGLE, LONG = (np.float32,), (np.longdouble,)


class Plain(Cell):
    """h = tanh(z_a) + 0.7 h_prev."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        a = np.tanh(z.a)
        return dict(a=a, h=a + 0.7 * prev.h)

    def backward(d, y):
        return dict(a=d.h * (1 - y.a**2), h=0.7 * d.h)


def another(change, dtypes):
    """`Plain` with `change` of h in some dtypes."""

    class Another(Plain):
        def forward(z, prev):
            out = Plain.forward(z, prev)
            if out["h"].dtype in dtypes:
                out["h"] = np.asarray(change(out["h"]), out["h"].dtype)
            return out

        backward = Plain.backward

    return Another


CHANGES = {
    "sign": lambda h: -h,
    "3 times": lambda h: 3 * h,
    "1.01 times": lambda h: 1.01 * h,
    "one more": lambda h: h + 1,
    "half precision": lambda h: h.astype(np.float16),
    "NaN": lambda h: h * np.nan,
    "large ones alone": lambda h: np.where(abs(h) > 10, 1.01 * h, h),
}


def test_the_cell_itself_passes():
    assert certify(Plain).ok


@pytest.mark.parametrize("dtypes", [SINGLE, LONG, SINGLE + LONG], ids=["float32", "longdouble", "both"])
@pytest.mark.parametrize("change", CHANGES)
def test_another_forward_in_a_dtype_is_refused(change, dtypes):
    if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps and dtypes != SINGLE:
        pytest.skip("long double is float64 here")
    failures = certify(another(CHANGES[change], dtypes), raise_=False).failures
    expected = "state h in float32" if dtypes == SINGLE else "state h in float64"
    assert expected in [path.name for path in failures], failures


def test_the_message_names_both_numbers():
    failure = next(path for path in certify(another(CHANGES["sign"], SINGLE), raise_=False).failures)
    assert "state h in float32: twin " in str(failure) and ", float64 " in str(failure) and "(sign)" in str(failure)


class Cancels(Cell):
    """1 - tanh^2 under a logarithm: float32 loses digits where the gate is far out, and is infinite there."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        return dict(h=np.log(1 - np.tanh(z.a) ** 2) + prev.h)

    def backward(d, y, prev):
        return dict(a=-2 * d.h * np.tanh(y.a), h=d.h)


class Overflows(Cell):
    """A softmax-like ratio that float32 cannot hold where gates are saturated."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        e = np.exp(np.minimum(z.a.real, 700))
        return dict(h=np.log(e + 1) + 0.5 * prev.h)

    def backward(d, y, prev):
        return dict(a=d.h / (1 + np.exp(-y.a)), h=0.5 * d.h)


class Stable(Cell):
    """The same where no number is large."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        return dict(h=log1p(expm1(tanh(z.a)) ** 2) + 0.5 * prev.h)


@pytest.mark.parametrize("cell", [Cancels, Overflows, Stable], ids=lambda cell: cell.__name__)
def test_rounding_is_no_fault(cell):
    failures = certify(cell, raise_=False).failures
    assert not [path for path in failures if " in float" in path.name], failures
