"""scikit-learn estimators: `SequenceClassifier`, `SequenceRegressor`, `Forecaster`. They need scikit-learn.

`pylstm.estimators.sktime` adapts two of them to sktime, which it needs; it has to be imported itself.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from pylstm.hints import absent

if find_spec("sklearn") is None:
    raise ModuleNotFoundError(
        "the estimators of pylstm need scikit-learn: pip install 'pylstm[sklearn]'", name="sklearn"
    )

from pylstm.estimators.classifier import SequenceClassifier
from pylstm.estimators.forecaster import Forecaster
from pylstm.estimators.regressor import SequenceRegressor

__all__ = ["Forecaster", "SequenceClassifier", "SequenceRegressor"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
