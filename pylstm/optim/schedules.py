"""Learning rates as functions of the step: callables ``step -> rate`` for ``optimiser.lr``; and `Plateau`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from pylstm.checks import check_number, check_size, takes_one
from pylstm.described import call_of
from pylstm.hint_texts import HINTS
from pylstm.hints import Hinted, absent, explained
from pylstm.optim.numbers import as_real, check_count, rate

Schedule = Callable[[int], float]


@explained("schedule option")
def constant(lr: float) -> Schedule:
    """The same rate at every step.

    Examples
    --------
    >>> constant(0.1)(1000)
    0.1
    """
    rate("lr", lr)
    return _Schedule(_constant, lr)


@explained("schedule option")
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
    rate("lr", lr)
    rate("factor", factor)
    _check_steps("every", every)
    return _Schedule(_step_decay, lr, every, factor)


@explained("schedule option")
def cosine(lr: float, steps: int, final: float = 0.0) -> Schedule:
    """Half a cosine wave from `lr` at step 0 to `final` at step `steps`, and `final` from there on.

    Loshchilov & Hutter (2017), SGDR, without restarts.

    Examples
    --------
    >>> [round(cosine(1.0, 10)(step), 3) for step in (0, 5, 10, 20)]
    [1.0, 0.5, 0.0, 0.0]
    """
    rate("lr", lr)
    rate("final", final)
    _check_steps("steps", steps)
    return _Schedule(_cosine, lr, steps, final)


@explained("schedule option")
def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """`schedule`, scaled up in a line over the first `steps` steps: by 1 / steps at step 0, by 1 from steps - 1 on.

    Examples
    --------
    >>> [warm_up(constant(1.0), 4)(step) for step in (0, 1, 3, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """
    check_schedule(schedule)
    _check_steps("steps", steps)
    return _Schedule(_warm_up, schedule, steps)


class _Schedule:
    """What the functions above return: `function` of their arguments and of the step. It can be pickled."""

    def __init__(self, function: Callable[..., float], *given: Any) -> None:
        self._function, self._given = function, given

    @explained()
    def __call__(self, step: int) -> float:
        return self._function(*self._given, step)

    def __repr__(self) -> str:
        return call_of(self._function.__name__.removeprefix("_"), *self._given)


def _constant(lr: float, step: int) -> float:
    return lr


def _step_decay(lr: float, every: int, factor: float, step: int) -> float:
    return lr * factor ** (step // every)


def _cosine(lr: float, steps: int, final: float, step: int) -> float:
    return final + (lr - final) * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2


def _warm_up(schedule: Schedule, steps: int, step: int) -> float:
    return rate_at(schedule, step) * min(1.0, (step + 1) / steps)


class Plateau(Hinted, hints="plateau"):
    """PyTorch's ``ReduceLROnPlateau``: a rate that falls after more than `patience` losses that are not better.

    A callable like the other schedules, with a memory. Call ``plateau.observe(loss)`` once in an epoch (`pylstm.fit`
    does, with the validation loss where there is one). A fit begins with the first rate and without that memory,
    whatever a fit before has left; one that is resumed has the rate and the memory of its checkpoint.

    Parameters
    ----------
    lr : float
        The first rate.
    mode : {"min", "max"}
        Whether lower or higher is better; `pylstm.fit` observes losses.
    factor : float
        The rate is multiplied by it; between 0 and 1.
    patience : int
        Losses in a row without a better one that are allowed: with 2 the third lowers the rate.
    threshold : float
        By how much a loss must be better than the best one before it.
    threshold_mode : {"rel", "abs"}
        With ``rel`` below ``best * (1 - threshold)`` (above ``best * (1 + threshold)`` for ``max``), with ``abs`` below
        ``best - threshold`` (above ``best + threshold``).
    cooldown : int
        Losses after a fall that do not count as worse ones.
    min_lr : float
        The rate does not fall below it.
    eps : float
        A fall by no more than this is left out.

    Attributes
    ----------
    lr : float
        The present rate. Setting it sets the first one too.

    Raises
    ------
    ValueError
        A number out of range, another mode.

    Examples
    --------
    >>> plateau = Plateau(1.0, factor=0.5, patience=2)
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 2.0):
    ...     plateau.observe(loss)
    >>> plateau(100)
    0.5
    """

    option_hints = "plateau option"

    def __new__(cls, *given: Any, **options: Any) -> Self:
        """Refuse, before `__init__` does, options by position."""
        if len(given) > 1:
            raise TypeError(f"options go by name: Plateau(0.01, mode='min', factor=0.1), got {given!r}")
        return super().__new__(cls)

    def __init__(
        self,
        lr: float,
        *,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        for name, value in {"lr": lr, "threshold": threshold, "min_lr": min_lr, "eps": eps}.items():
            rate(name, value)
        if not 0 < check_number("factor", factor) < 1:
            raise ValueError(f"factor must be between 0 and 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
        self.patience, self.cooldown = check_size("patience", patience, 0), check_size("cooldown", cooldown, 0)
        self.mode, self.threshold, self.threshold_mode = mode, float(threshold), threshold_mode
        self.factor, self.min_lr, self.eps = float(factor), float(min_lr), float(eps)
        self.lr = lr
        self.reset()

    @property
    def lr(self) -> float:
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._first = self._lr = rate("lr", value)

    def reset(self) -> None:
        """Go back to the first rate, and forget all losses."""
        self._lr = self._first
        self.best = math.inf if self.mode == "min" else -math.inf
        self.waited = self.cooling = 0

    @explained()
    def __call__(self, step: int) -> float:
        """The present rate, whatever the step."""
        return self.lr

    def observe(self, loss: float) -> None:
        """Record a loss; NaN is never better than another."""
        loss = as_real("loss", loss)
        if self._is_better(loss):
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.cooling:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.waited > self.patience:
            lower = max(self.min_lr, self.lr * self.factor)
            self._lr = lower if self.lr - lower > self.eps else self.lr
            self.cooling, self.waited = self.cooldown, 0

    def _is_better(self, loss: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        margin = self.threshold
        bound = self.best * (1 + sign * margin) if self.threshold_mode == "rel" else self.best + sign * margin
        return loss > bound if self.mode == "max" else loss < bound

    def state_dict(self) -> dict[str, Any]:
        """The state that `load_state_dict` restores."""
        return {name: getattr(self, name) for name in ("lr", "best", "waited", "cooling")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`.

        Raises
        ------
        TypeError, ValueError
            Not such a dict, or a value in it that is not what it must be.
        """
        if not isinstance(state, Mapping) or state.keys() != self.state_dict().keys():
            raise ValueError(f"state must be what state_dict() returned, with {', '.join(self.state_dict())}")
        lr, best = rate("lr", state["lr"]), state["best"]
        waited, cooling = (check_count(name, state[name]) for name in ("waited", "cooling"))
        check_number("best", best)
        self._lr, self.best, self.waited, self.cooling = lr, float(best), waited, cooling

    def __repr__(self) -> str:
        names = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps")
        return call_of("Plateau", self._first, **{name: getattr(self, name) for name in names})


SCHEDULES = ("constant", "step_decay", "cosine", "warm_up", "Plateau")
"""Names of all schedules of this module."""


def check_schedule(schedule: Any) -> None:
    """`TypeError` for anything but a schedule or None."""
    if schedule is None:
        return
    kind = schedule if isinstance(schedule, type) else type(schedule)
    if kind is schedule and issubclass(kind, Plateau):
        raise TypeError(f"schedule must be an instance, {kind.__name__}(...), got the class")
    if kind is schedule or not takes_one(schedule):
        own = HINTS["module"].get(kind.__name__) if kind.__module__.startswith("torch.") else None
        raise TypeError(
            f"schedule must be a function of the step, such as cosine(0.01, steps=1000), or one of "
            f"pylstm.optim: {', '.join(SCHEDULES)}; got {schedule!r}{f': {own}' if own else ''}"
        )


def rate_at(schedule: Schedule, step: int) -> float:
    """What a schedule returns for a step, checked.

    Raises
    ------
    TypeError, ValueError
        Not a number, negative, NaN or infinite.

    Examples
    --------
    >>> rate_at(lambda step: -0.1, 3)
    Traceback (most recent call last):
    ...
    ValueError: the rate that the schedule returned for step 3 must be 0 or more and finite, got -0.1
    """
    return rate(f"the rate that the schedule returned for step {step}", schedule(step))


def _check_steps(name: str, value: float) -> None:
    if not check_number(name, value) >= 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
