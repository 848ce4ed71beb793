"""`all_or_nothing`: a fit that fails leaves its object as it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Fit = TypeVar("Fit", bound=Callable[..., Any])


def all_or_nothing(fit: Fit) -> Fit:
    """Decorator of a `fit` that sets attributes and does not change what they hold: an exception restores them.

    The object then holds the fit before, or is not fitted.

    Examples
    --------
    >>> class Mean:
    ...     @all_or_nothing
    ...     def fit(self, x):
    ...         self.count = len(x)
    ...         self.mean = sum(x) / self.count
    >>> mean = Mean()
    >>> mean.fit([1, 3])
    >>> try:
    ...     mean.fit([])
    ... except ZeroDivisionError:
    ...     mean.count, mean.mean
    (2, 2.0)
    """

    @wraps(fit)
    def whole(self: Any, *arguments: Any, **options: Any) -> Any:
        before = dict(vars(self))
        try:
            return fit(self, *arguments, **options)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return whole  # type: ignore[return-value]  # of the same signature, by `wraps`
