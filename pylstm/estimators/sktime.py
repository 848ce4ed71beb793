"""`SktimeForecaster`, `SktimeClassifier`: the estimators of pylstm as sktime takes them. They need sktime."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if find_spec("sktime") is None:
    raise ModuleNotFoundError("pylstm.estimators.sktime needs sktime: pip install 'pylstm[sktime]'", name="sktime")

from sklearn.base import clone

from pylstm.estimators.classifier import SequenceClassifier
from pylstm.estimators.forecaster import Forecaster

if TYPE_CHECKING:  # without types: documented by sktime

    class BaseForecaster:
        """What forecasters have from sktime."""

        cutoff: Any
        _y: Any

        def _get_varnames(self) -> Any: ...

    class BaseClassifier:
        """What classifiers have from sktime."""

else:
    from sktime.classification.base import BaseClassifier
    from sktime.forecasting.base import BaseForecaster

__all__ = ["SktimeClassifier", "SktimeForecaster"]

OWNERS = {"authors": ["pylstm"], "maintainers": ["pylstm"], "python_dependencies": ["pylstm", "scikit-learn"]}


class SktimeForecaster(BaseForecaster):
    """A `pylstm.Forecaster` as a forecaster of sktime.

    Parameters
    ----------
    forecaster : Forecaster, optional
        Default: ``Forecaster()``. `set_params` reaches its own: ``forecaster__hidden_size=16``.

    Attributes
    ----------
    forecaster_ : Forecaster
        After the fit; ``forecaster_.method_`` says what the forecast is made of.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from pylstm import Forecaster
    >>> from pylstm.estimators.sktime import SktimeForecaster
    >>> values = 0.3 * np.arange(48) + np.random.default_rng(0).normal(size=48)
    >>> y = pd.Series(values, index=pd.period_range("2001-01", periods=48, freq="M"))
    >>> net = SktimeForecaster(Forecaster("gru", 4, epochs=2, random_state=0))
    >>> net.fit(y, fh=[1, 3]).predict().index.astype(str).tolist()
    ['2005-01', '2005-03']
    """

    _tags: ClassVar[dict[str, Any]] = OWNERS | {
        "y_inner_mtype": "pd.Series",
        "X_inner_mtype": "pd.DataFrame",
        "capability:multivariate": False,
        "capability:exogenous": True,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": False,
        "capability:categorical_in_X": False,
        "requires-fh-in-fit": False,
    }

    def __init__(self, forecaster: Forecaster | None = None) -> None:
        self.forecaster = forecaster
        with warnings.catch_warnings():  # of sktime, about a default that will change
            warnings.filterwarnings("ignore", "(?s).*remember_data", FutureWarning)
            super().__init__()

    def _fit(self, y: Any, X: Any = None, fh: Any = None) -> SktimeForecaster:
        self.forecaster_ = Forecaster() if self.forecaster is None else clone(self.forecaster)
        X = None if X is None else _at(X, y.index)
        self.forecaster_.fit(_values(y), None if X is None else _values(X))
        self._seen, self._later = (y, X), False
        return self

    def _update(self, y: Any, X: Any = None, update_params: bool = True) -> SktimeForecaster:
        """Fit anew, or forecast from the end of `y` from now on."""
        import pandas as pd

        before, inputs = self._seen
        values = pd.concat([before[~before.index.isin(y.index)], y]).sort_index()
        if inputs is not None:
            if X is None:
                raise ValueError("X is needed in update: the forecaster was fitted with inputs")
            X = _at(X, y.index)
            inputs = pd.concat([inputs[~inputs.index.isin(X.index)], X]).sort_index()
        if update_params:
            return self._fit(values, inputs)
        self._seen, self._later = (values, inputs), True
        return self

    def _predict(self, fh: Any, X: Any = None) -> Any:
        import pandas as pd

        at, n, given = self._asked(fh, X)
        found = self.forecaster_.predict(n, **given)[at]
        return pd.Series(found, index=self._times(fh), name=self._y.name if self._y is not None else None)

    def _predict_quantiles(self, fh: Any, X: Any, alpha: Sequence[float]) -> Any:
        import pandas as pd

        at, n, given = self._asked(fh, X)
        found = self.forecaster_.predict_quantiles(n, list(alpha), **given)
        columns = pd.MultiIndex.from_product([self._get_varnames(), alpha])
        return pd.DataFrame(np.stack([each[at] for each in found], axis=1), index=self._times(fh), columns=columns)

    def _asked(self, fh: Any, X: Any) -> tuple[np.ndarray, int, dict[str, Any]]:
        """Positions among the n steps to come, n, and inputs of these steps: those between stay as before.

        After an update without a fit also the series until there.
        """
        ahead = fh.to_relative(self.cutoff).to_numpy().astype(int)
        n = int(ahead.max())
        given: dict[str, Any] = {"history": _values(self._seen[0])} if self._later else {}
        if X is None:
            return ahead - 1, n, given
        _at(X, self._times(fh))
        every = type(fh)(range(1, n + 1), is_relative=True).to_absolute_index(self.cutoff)
        known = _values(X.reindex(every).ffill().bfill())
        known = np.concatenate([_values(self._seen[1]), known]) if self._later else known
        return ahead - 1, n, given | {"X": known}

    def _times(self, fh: Any) -> Any:
        return fh.to_absolute_index(self.cutoff)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Settings of sktime's own tests."""
        small: dict[str, Any] = {"hidden_size": 3, "epochs": 1, "random_state": 0}
        return [
            {"forecaster": Forecaster("gru", **small)},
            {"forecaster": Forecaster("rnn_tanh", loss="gaussian", window=8, **small)},
        ]


class SktimeClassifier(BaseClassifier):
    """A `pylstm.SequenceClassifier` as a classifier of sktime.

    Parameters
    ----------
    classifier : SequenceClassifier, optional
        Default: ``SequenceClassifier()``. `set_params` reaches its own: ``classifier__hidden_size=16``.

    Attributes
    ----------
    classifier_ : SequenceClassifier
        After the fit.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm import SequenceClassifier
    >>> from pylstm.estimators.sktime import SktimeClassifier
    >>> x, y = np.random.default_rng(0).normal(size=(20, 1, 8)), np.arange(20) % 2
    >>> net = SktimeClassifier(SequenceClassifier("gru", 4, epochs=1, random_state=0)).fit(x + y[:, None, None], y)
    >>> net.predict(x).shape
    (20,)
    """

    _tags: ClassVar[dict[str, Any]] = OWNERS | {
        "X_inner_mtype": "df-list",
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": False,
        "capability:predict_proba": True,
    }

    def __init__(self, classifier: SequenceClassifier | None = None) -> None:
        self.classifier = classifier
        super().__init__()

    def _fit(self, X: Any, y: Any) -> SktimeClassifier:
        self.classifier_ = SequenceClassifier() if self.classifier is None else clone(self.classifier)
        self.classifier_.fit([_values(each) for each in X], y)
        return self

    def _predict(self, X: Any) -> np.ndarray:
        return np.asarray(self.classifier_.predict([_values(each) for each in X]))

    def _predict_proba(self, X: Any) -> np.ndarray:
        return np.asarray(self.classifier_.predict_proba([_values(each) for each in X]))

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Settings of sktime's own tests."""
        return [
            {"classifier": SequenceClassifier("gru", 3, epochs=1, random_state=0)},
            {"classifier": SequenceClassifier("rnn_tanh", 3, epochs=2, num_layers=2, random_state=0)},
        ]


def _at(X: Any, times: Any) -> Any:
    """The rows of inputs X at these times.

    Raises
    ------
    ValueError
        X has no row at one of them.
    """
    absent = ~times.isin(X.index)
    if absent.any():
        raise ValueError(f"X must have a row at every time that is asked for, none at {times[int(absent.argmax())]}")
    return X.loc[times]


def _values(frame: Any) -> np.ndarray:
    """Numbers (T,) or (T, M) of a Series or a frame."""
    return np.asarray(frame.to_numpy(), "float64")
