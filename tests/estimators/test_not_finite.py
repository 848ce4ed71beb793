"""What is missing in X or y is refused with its place, and what to do."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
from pylstm import SequenceClassifier, SequenceRegressor

X = np.random.default_rng(0).normal(size=(20, 5, 1))
Y = np.arange(20) % 2


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
def test_values_that_are_missing(kind):
    net = kind(hidden_size=4, epochs=1, random_state=0).fit(X, Y)
    for value, name in ((np.nan, "NaN"), (np.inf, "infinity")):
        wrong = X.copy()
        wrong[3, 2, 0] = value
        with pytest.raises(ValueError, match=rf"^X contains {name}, first at index \(3, 2, 0\): fill the gaps, or"):
            net.predict(wrong)
        with pytest.raises(ValueError, match=rf"^X contains {name}, first at index \(3, 2\): fill the gaps, or"):
            kind(epochs=1).fit(wrong[..., 0], Y)
        with pytest.raises(ValueError, match=rf"^X\[3\] contains {name}: fill the gaps, or"):
            net.predict([*wrong, X[0, :3]])
    with pytest.raises(ValueError, match=r"^y contains NaN, first at index 7: leave such sequences out"):
        kind(epochs=1).fit(X, np.where(np.arange(20) == 7, np.nan, Y))


@pytest.mark.parametrize("nothing", [[], (), np.zeros((0, 5, 1)), np.zeros((0, 5)), np.zeros(0)], ids=repr)
def test_no_sequences(nothing):
    net = SequenceClassifier(hidden_size=4, random_state=0).fit(X, Y)
    for call in (net.predict, lambda x: SequenceClassifier().fit(x, [])):
        with pytest.raises(ValueError, match=r"X has no sequences .*: pass at least one"):
            call(nothing)


def test_labels_that_are_missing():
    for labels in ([None, *Y[1:]], np.array([None, *Y[1:]], object)):
        with pytest.raises(ValueError, match="y contains None where a label is missing: leave such sequences out"):
            SequenceClassifier().fit(X, labels)
    with pytest.raises(ValueError, match="y contains NaN: leave such sequences out"):
        SequenceClassifier().fit(X, np.array(["a", np.nan] * 10, object))
