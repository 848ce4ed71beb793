"""Labels of a classifier that no file can hold, or that have no order, are refused before the fit."""

import datetime

import numpy as np
import pytest

pytest.importorskip("sklearn")

from pylstm import SequenceClassifier

X = np.random.default_rng(0).normal(size=(8, 5, 1))
DAYS = [datetime.date(2001, 1, 1), datetime.date(2001, 1, 2)] * 4


@pytest.mark.parametrize("y", [np.array(DAYS, "M8[D]"), np.array(DAYS), np.array([1, 2] * 4, "m8[s]")])
def test_dates(y):
    with pytest.raises(ValueError, match=r"y holds dates or durations, .*: y\.astype\(str\) makes texts of them$"):
        SequenceClassifier().fit(X, y)
    assert len(SequenceClassifier(random_state=0).fit(X, y.astype(str)).classes_) == 2


def test_texts_and_numbers():
    with pytest.raises(ValueError, match=r"y holds texts and others, such as 'a' and 1: \[str"):
        SequenceClassifier().fit(X, np.array(["a", 1] * 4, object))
