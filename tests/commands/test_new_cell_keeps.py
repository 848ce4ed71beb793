"""``pylstm new-cell --from``: what of a cell must not be lost."""

import pytest

from pylstm.cells import Cell, tanh
from pylstm.plugins import registry
from pylstm.scaffold.package import files_of


class Surrogate(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return {"h": tanh(z.a)}

    def backward(d, y):
        return {"a": d.h}


def test_a_surrogate_is_not_lost_silently(tmp_path):
    """What is derived would be another backward."""
    with pytest.raises(ValueError, match=r"backward a is not what the formula alone gives.*would be lost"):
        files_of("mine", Surrogate)


def test_options_come_along():
    files = files_of("slow", registry().get("cornn").with_options(dt=0.02))
    for name in ("formula.py", "slow.py"):
        assert 'options = {"dt": 0.02, "gamma": 1.0, "epsilon": 1.0}' in files[f"pylstm_slow/{name}"]
    assert 'formula = "pylstm_slow.formula:Slow"' in files["pylstm_slow/slow.py"]
