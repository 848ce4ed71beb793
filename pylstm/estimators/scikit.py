"""Base classes of scikit-learn; it has no types, so that checkers would take its subclasses for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:  # documented by scikit-learn

    class BaseEstimator:
        """What estimators have from scikit-learn."""

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...  # noqa: D102
        def set_params(self, **params: Any) -> Self: ...  # noqa: D102
        def get_metadata_routing(self) -> Any: ...  # noqa: D102
        def __sklearn_tags__(self) -> Any: ...

    class ClassifierMixin:
        """What classifiers have besides."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...  # noqa: D102

    class RegressorMixin:
        """What regressors have besides."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...  # noqa: D102
        def __sklearn_tags__(self) -> Any: ...

else:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

__all__ = ["BaseEstimator", "ClassifierMixin", "RegressorMixin"]
