"""Arguments of a fit, checked before the first step: `check_numbers`, `check_callbacks`, `check_optimiser`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pylstm.checks import check_number, check_size, quoted, takes_one
from pylstm.parameters import Parameters


def check_numbers(clip: Any, validation: Any, patience: Any, **counts: Any) -> None:
    """Reject numbers out of range, and `patience` without validation."""
    for name, value in counts.items() if patience is None else (counts | {"patience": patience}).items():
        check_size(name, value)
    if patience is not None and validation is None:
        raise ValueError("patience needs validation: a share of the rows such as 0.1, or other data")
    if clip is not None and not check_number("clip", clip) > 0:
        raise ValueError(f"clip must be above 0, got {clip}")


def check_callbacks(callbacks: Any) -> list[Callable[[Any], Any]]:
    """`callbacks` as a list.

    Raises
    ------
    TypeError
        One function rather than a list; one of them cannot be called with the trainer alone.

    Examples
    --------
    >>> check_callbacks([print, 1])
    Traceback (most recent call last):
    ...
    TypeError: callbacks[1] must be a function of the trainer, such as lambda trainer: print(trainer.epoch), got 1
    """
    if isinstance(callbacks, str) or not isinstance(callbacks, Iterable):
        one = ", got one: callbacks=[function]" if callable(callbacks) else f", got {quoted(callbacks)}"
        raise TypeError(f"callbacks must be a list of functions{one}")
    several: list[Any] = list(callbacks)
    for number, each in enumerate(several):
        if not takes_one(each):
            raise TypeError(
                f"callbacks[{number}] must be a function of the trainer, such as lambda trainer: print(trainer.epoch), "
                f"got {each!r}"
            )
    return several


def check_optimiser(optimiser: Any, params: list[Parameters]) -> None:
    """Reject anything but an optimiser, and an optimiser of another model (its steps would not change this one)."""
    if isinstance(optimiser, type):
        raise TypeError(f"optimiser must be an instance, pylstm.{optimiser.__name__}(model.params), got the class")
    if type(optimiser).__module__.partition(".")[0] in ("torch", "keras", "tensorflow"):
        raise TypeError(
            f"optimiser must be a pylstm optimiser such as pylstm.Adam(model.params), got {type(optimiser)}"
        )
    if not callable(getattr(optimiser, "step", None)):
        raise TypeError(f"optimiser must be an optimiser such as pylstm.Adam(model.params), got {optimiser!r}")
    theirs = getattr(optimiser, "params", params)
    if len(theirs) != len(params) or any(a.flat is not b.flat for a, b in zip(theirs, params)):
        raise ValueError("the optimiser holds parameters other than those of the model: create it with model.params")
    check_trained(params)


def check_trained(params: list[Parameters]) -> None:
    """Reject parameters that are all held: a fit would change nothing."""
    if not any(each.trained_size for each in params):
        raise ValueError("all parameters are frozen, nothing would be trained: unfreeze some, model.params.unfreeze()")
