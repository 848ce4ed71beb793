"""`Budget`: when a loop of training stops. Light to import: the command line takes its defaults from such modules."""

from __future__ import annotations

from dataclasses import dataclass

from pylstm.checks import check_positive
from pylstm.hints import explained_constructor


@explained_constructor
@dataclass(frozen=True)
class Budget:
    """Limits of a training run, which stops at the first one that it reaches; None means no limit.

    The sequence of losses depends on data, settings and seed only. A limit in minutes decides how far it goes, so that
    two runs of unequal speed have one trace as the beginning of the other.

    Examples
    --------
    >>> Budget(epochs=2, steps=30).total_steps(10), Budget(minutes=2, steps=30).share(15, 90.0, 10)
    (20, 0.75)
    """

    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.minutes is None and self.epochs is None and self.steps is None:
            raise ValueError("a budget needs minutes, epochs or steps")
        for name in ("minutes", "epochs", "steps"):
            value = getattr(self, name)
            if value is not None:
                check_positive(name, value)

    def total_steps(self, per_epoch: int | None) -> int | None:
        """The limit in steps, where there is one, with so many steps in an epoch."""
        limits = [] if self.steps is None else [self.steps]
        if self.epochs is not None and per_epoch is not None:
            limits.append(max(1, round(self.epochs * per_epoch)))
        return min(limits, default=None)

    def share(self, steps: int, seconds: float, per_epoch: int | None) -> float:
        """What so many steps and seconds have used of it: 1 or more where it is used up."""
        total = self.total_steps(per_epoch)
        used = [] if total is None else [steps / total]
        if self.minutes is not None:
            used.append(seconds / (60 * self.minutes))
        return max(used, default=0.0)
