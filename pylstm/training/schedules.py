"""Learning rates as functions of the step: callables ``step -> rate`` for ``optimiser.lr``; and `Plateau`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Schedule = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """The same rate at every step.

    Examples
    --------
    >>> constant(0.1)(1000)
    0.1
    """
    _check_rate("lr", lr)
    return lambda step: lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """`lr`, multiplied by `factor` after each `every` steps.

    Raises
    ------
    ValueError
        A negative `lr` or `factor`; `every` below 1.

    Examples
    --------
    >>> [step_decay(1.0, 10, 0.5)(step) for step in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    _check_rate("lr", lr)
    _check_rate("factor", factor)
    _check_steps("every", every)
    return lambda step: lr * factor ** (step // every)


def cosine(lr: float, steps: int, final: float = 0.0) -> Schedule:
    """Half a cosine wave from `lr` at step 0 to `final` at step `steps`, and `final` from there on.

    Loshchilov & Hutter (2017), SGDR, without restarts.

    Examples
    --------
    >>> [round(cosine(1.0, 10)(step), 3) for step in (0, 5, 10, 20)]
    [1.0, 0.5, 0.0, 0.0]
    """
    _check_rate("lr", lr)
    _check_rate("final", final)
    _check_steps("steps", steps)
    return lambda step: final + (lr - final) * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2


def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """`schedule`, scaled up in a line over the first `steps` steps: by 1 / steps at step 0, by 1 from steps - 1 on.

    Examples
    --------
    >>> [warm_up(constant(1.0), 4)(step) for step in (0, 1, 3, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """
    _check_steps("steps", steps)
    return lambda step: schedule(step) * min(1.0, (step + 1) / steps)


class Plateau:
    """A rate that falls when a loss has not got better for a while; a callable like the others, with a memory.

    Call ``plateau.observe(loss)`` once in an epoch (`pylstm.fit` does, with the validation loss where there is one).

    Parameters
    ----------
    lr : float
    factor : float
        The rate is multiplied by it; between 0 and 1.
    patience : int
        Losses in a row without a better one before the rate falls.
    tolerance : float
        A loss is better if it is below ``best - tolerance``.
    least : float
        The rate does not fall below it.

    Raises
    ------
    ValueError
        A number out of range.

    Examples
    --------
    >>> plateau = Plateau(1.0, factor=0.5, patience=2)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     plateau.observe(loss)
    >>> plateau(100)
    0.5
    """

    def __init__(
        self, lr: float, *, factor: float = 0.1, patience: int = 10, tolerance: float = 0.0, least: float = 0.0
    ) -> None:
        for name, value in {"lr": lr, "tolerance": tolerance, "least": least}.items():
            _check_rate(name, value)
        if not 0 < factor < 1:
            raise ValueError(f"factor must be between 0 and 1, got {factor}")
        _check_steps("patience", patience)
        self.lr, self.factor, self.patience = float(lr), float(factor), patience
        self.tolerance, self.least = float(tolerance), float(least)
        self.best, self.waited = math.inf, 0

    def __call__(self, step: int) -> float:
        """The present rate, whatever the step."""
        return self.lr

    def observe(self, loss: float) -> None:
        """Take note of a loss; NaN is no better than any."""
        if loss < self.best - self.tolerance:
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.lr, self.waited = max(self.least, self.lr * self.factor), 0

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on."""
        return {"lr": self.lr, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.lr, self.best, self.waited = state["lr"], state["best"], state["waited"]


def _check_rate(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be 0 or more and finite, got {value}")


def _check_steps(name: str, value: int) -> None:
    if not value >= 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
