"""scikit-learn estimators: `SequenceClassifier`, `SequenceRegressor`, `Forecaster`. Imported lazily."""

from importlib.util import find_spec

if find_spec("sklearn") is None:
    raise ModuleNotFoundError(
        "the estimators of pylstm need scikit-learn: pip install 'pylstm[sklearn]'", name="sklearn"
    )
