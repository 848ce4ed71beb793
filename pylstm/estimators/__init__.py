"""scikit-learn estimators: `SequenceClassifier`, `SequenceRegressor`, `Forecaster`. Imported by who uses them only."""

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the estimators of pylstm need scikit-learn: pip install 'pylstm[sklearn]'", name="sklearn"
    ) from error
