"""Features of any size: constant ones are 0 exactly, others are refused where their squares have no float64."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from pylstm import SequenceClassifier, SequenceRegressor
from pylstm.data.sequences import Sequences
from pylstm.data.views import seen

X = np.random.default_rng(0).normal(size=(60, 10, 1))
LABELS = np.where(X[:, -4:].sum(axis=(1, 2)) > 0, "u", "d")
KINDS = [{"hidden_size": 4, "random_state": 0}, {"hidden_size": 4, "random_state": 0, "method": "trained", "epochs": 3}]


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("factor", [1e-99, 1e99])
def test_sizes_that_are_taken(options, factor):
    net = SequenceClassifier(**options).fit(X * factor, LABELS)
    np.testing.assert_allclose(
        net.predict_proba(X * factor), SequenceClassifier(**options).fit(X, LABELS).predict_proba(X)
    )


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("factor", [1e-200, 1e-110, 1e110, 1e200])
def test_sizes_that_are_refused(options, factor):
    with np.errstate(all="ignore"):
        with pytest.raises(ValueError, match=r"largest magnitude of X\[..., 0\] is .* must be from 1e-100 to 1e\+100"):
            SequenceClassifier(**options).fit(X * factor, LABELS)
        with pytest.raises(ValueError, match=r"largest magnitude of y\[..., 0\] is "):
            SequenceRegressor(hidden_size=4).fit(X, X[:, -1, 0] * factor)


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("value", [5.1, 1e20 / 3, -1e90, 1e-300])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_constant_feature_of_any_size_is_0(options, value, ragged):
    def rows(constant):
        x = np.concatenate([X, np.full_like(X, constant)], axis=-1)
        return [row[: 6 + k % 5] for k, row in enumerate(x)] if ragged else x

    net, other = (SequenceClassifier(**options).fit(rows(each), LABELS) for each in (value, 0))
    assert net.x_mean_[1] == value and net.x_scale_[1] == 1
    assert net.predict_proba(rows(value)).tobytes() == other.predict_proba(rows(0)).tobytes()


def test_a_constant_sequence_is_0_normalised():
    x = np.full((2, 7, 1), 1e20 / 3)
    for each in (seen(x, "normalised"), seen(Sequences(x, [7, 3]), "normalised").padded):
        assert (each[..., 1] == 0).all()


@pytest.mark.parametrize("options", KINDS)
def test_what_is_predicted_is_in_the_units_of_the_fit(options):
    net = SequenceClassifier(**options).fit(X, LABELS)
    np.testing.assert_allclose(net.predict_proba(X * 1e25).sum(axis=1), 1)
    for factor in (1e40, 1e200):
        with (
            np.errstate(all="ignore"),
            pytest.raises(ValueError, match=r"more than 1e\+30 deviations from"),
        ):
            net.predict_proba(X * factor)
