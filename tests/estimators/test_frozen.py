"""`frozen=` of estimators: named parameters stay as they are."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone

import pylstm
from pylstm import SequenceClassifier, SequenceRegressor

X = np.random.default_rng(0).normal(size=(60, 7, 2))
Y = X.sum(axis=(1, 2))


def arrays(net):
    parts = net.model_.parts
    return {f"{part}.{name}": np.array(parts[part].params[name]) for part in parts for name in parts[part].params.names}


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
def test_what_is_frozen_stays(kind, tmp_path):
    y = Y if kind is SequenceRegressor else Y > 0
    options = {"cell": "lstm", "hidden_size": 5, "epochs": 3, "random_state": 0, "warm_start": True}
    net = kind(frozen=["weight_x", "bias"], **options).fit(X, y)
    assert set(net.model_.params.frozen) == {"0.weight_x", "0.bias", "1.bias"}
    before = kind(**options | {"epochs": 1, "learning_rate": 1e-12}).fit(X, y)
    one, other = arrays(before), arrays(net)
    stayed = {name for name in one if np.allclose(one[name], other[name], atol=1e-9)}
    assert stayed == {"layer.weight_x", "layer.bias", "head.bias"}
    pylstm.save(tmp_path / "net", net)
    again = pylstm.load(tmp_path / "net")
    assert again.get_params()["frozen"] == ("weight_x", "bias") and clone(again).frozen == ("weight_x", "bias")
    assert again.model_.params.frozen == net.model_.params.frozen
    later = clone(net).fit(X, y)
    first = arrays(later)
    assert later.set_params(frozen="weight_h").fit(X, y).model_.params.frozen == ("0.weight_h",)
    second = arrays(later)
    assert {name for name in first if np.array_equal(first[name], second[name])} == {"layer.weight_h"}
    assert later.set_params(frozen=()).fit(X, y).model_.params.frozen == ()
    later.model_.params.freeze("bias")
    assert later.set_params(frozen=None).fit(X, y).model_.params.frozen == ("0.bias", "1.bias")


def test_partial_fit_holds_them():
    net = SequenceClassifier("gru", 4, random_state=0, frozen="weight_h").partial_fit(X, Y > 0, classes=[False, True])
    first = arrays(net)
    second = arrays(net.partial_fit(X, Y > 0))
    assert all(np.array_equal(first[name], second[name]) == name.endswith("weight_h") for name in first)


def test_names_that_are_none():
    with pytest.raises(ValueError, match=r"frozen must hold names of parameters of the net: unknown parameter 'gates'"):
        SequenceRegressor("gru", 4, epochs=1, frozen=["gates"]).fit(X, Y)
    assert SequenceClassifier(hidden_size=4, epochs=1, frozen=["weight_x"]).fit(X, Y > 0).method_ == "trained"
    with pytest.raises(ValueError, match="method='random' has no effect for frozen"):
        SequenceClassifier(method="random", frozen=["weight_x"]).fit(X, Y > 0)
