"""Estimators refuse what has no meaning, with the cure, and drop what no longer holds."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pylstm
from pylstm import SequenceClassifier, SequenceRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 10, 1))
LABELS = np.where(X[:, -4:].sum(axis=(1, 2)) > 0, "u", "d")
STEPS = np.where(X[..., 0] > 0, "u", "d")
SMALL = {"hidden_size": 4, "random_state": 0}


@pytest.mark.parametrize("factor", [-1, float("nan"), float("inf"), "2", None])
@pytest.mark.parametrize("options", [{}, {"method": "random"}, {"method": "trained"}, {"read": "every"}])
def test_class_weights_are_numbers_of_at_least_0(factor, options):
    net, y = SequenceClassifier(**SMALL, **options, class_weight={"u": factor}), STEPS if "read" in options else LABELS
    with pytest.raises(ValueError, match=r"class_weight\['u'\] must be a number, 0 or more and finite, got "):
        net.fit(X, y)
    if "method" not in options:
        with pytest.raises(ValueError, match=r"class_weight\['u'\] must be"):
            net.partial_fit(X, y, classes=["u", "d"])


def test_a_pass_takes_no_random_net_and_holds_nothing_out():
    for options, said in (
        ({"method": "random"}, "method='random' fits all sequences at once: for partial_fit take method='trained'"),
        ({"calibrate": True}, "calibrate=True holds out sequences, but partial_fit trains on all it is given"),
    ):
        net = SequenceClassifier(**SMALL, **options)
        for _ in range(2):
            with pytest.raises(ValueError, match=said):
                net.partial_fit(X, LABELS, classes=["d", "u"])
            net.fit(X, LABELS)


def test_a_pass_after_a_random_net_drops_what_was_found_of_it(tmp_path):
    net = SequenceClassifier(**SMALL).fit(X, LABELS)
    assert net.method_ == "random" and net.scores_ and net.temperature_ != 1 and net.settings_["penalty"]
    view = net.view_
    net.partial_fit(X, LABELS)
    pylstm.save(tmp_path / "net", net)
    for each in (net, pylstm.load(tmp_path / "net")):
        assert each.method_ == "trained" and each.scores_ == {} and each.temperature_ == 1
        assert each.settings_ == {"view": view, "penalty": None} and each.n_iter_ == 1
        assert each.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()


@pytest.mark.parametrize("what", ["calibrate", "early_stopping"])
@pytest.mark.parametrize(("rows", "share"), [(1, 0.1), (3, 0.9)])
def test_a_share_held_out_leaves_some(what, rows, share):
    net = SequenceClassifier("gru", **SMALL, validation_fraction=share, **{what: True})
    with pytest.raises(
        ValueError, match=f"{what} holds out validation_fraction={share} of the sequences and leaves none"
    ):
        net.fit(X[:rows], LABELS[:rows])


def test_a_list_of_quantiles_is_one_after_a_load(tmp_path):
    net = SequenceRegressor("gru", **SMALL, epochs=1, loss=[0.1, 0.5, 0.9]).fit(X, X[:, -1, 0])
    pylstm.save(tmp_path / "net", net)
    assert pylstm.load(tmp_path / "net").get_params() == net.get_params()
