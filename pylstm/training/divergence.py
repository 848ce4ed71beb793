"""The error of a training run that has lost its numbers."""

from __future__ import annotations

import math


class TrainingDiverged(FloatingPointError):
    """The loss or the gradient is no longer a finite number."""


def refuse_divergence(step: int, loss: float, norm: float, lr: float, *, unit: str = "", last: float | None) -> None:
    """Raise `TrainingDiverged` unless `loss` and `norm`, of the step numbered from 0, are finite.

    Examples
    --------
    >>> refuse_divergence(2, float("nan"), 1.5, 0.1, last=0.25)
    Traceback (most recent call last):
    ...
    pylstm.training.divergence.TrainingDiverged: training diverged at step 3: loss nan, 0.250 the step before, norm of
    the gradient 1.5, learning rate 0.1: try a lower learning rate
    """
    if math.isfinite(loss) and math.isfinite(norm):
        return
    before = "" if last is None else f", {last:.3f} the step before"
    raise TrainingDiverged(
        f"training diverged at step {step + 1}: loss {loss}{unit}{before}, norm of the gradient {norm}, "
        f"learning rate {lr:.3g}: try a lower learning rate"
    )
