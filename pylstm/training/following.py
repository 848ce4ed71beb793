"""`followed`, `any_ends`: training hooks of plugins, and callbacks, around any training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pylstm.hints import explained
from pylstm.plugins import training_hooks


class Follower(NamedTuple):
    """What a loop of training calls between its steps: every hook gets the `trainer` of that loop."""

    trainer: Any
    hooks: Any

    def begin(self) -> None:
        """Call the hooks before the first step."""
        self._call("pylstm_on_fit_begin")

    def end_step(self) -> None:
        """Call the hooks after a step of the optimiser, when it is counted."""
        self._call("pylstm_on_step_end")

    def end_epoch(self) -> None:
        """Call the hooks after an epoch, when its losses are in the history."""
        self._call("pylstm_on_epoch_end")

    def end(self) -> None:
        """Call the hooks after the last step."""
        self._call("pylstm_on_fit_end")

    def _call(self, hook: str) -> None:
        cure = "to end a loop of training, call trainer.stop()"
        call_out(f"a plugin's {hook}", cure, getattr(self.hooks, hook), trainer=self.trainer)


@explained()
@contextmanager
def followed(trainer: Any) -> Iterator[Follower]:
    """Let the plugins follow a loop: ``with followed(trainer) as follower:`` around it.

    Calls ``pylstm_on_fit_begin`` at the beginning and ``pylstm_on_fit_end`` at the end, but not after an exception; the
    loop calls ``follower.end_step()`` and ``follower.end_epoch()``.

    Parameters
    ----------
    trainer : object
        What the hooks see: ``model``, ``optimiser`` (None where there is none), ``history`` (a `History`), ``step``,
        ``epoch``, and ``stop()``, which ends the loop after the present step.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import pylstm
    >>> trainer = SimpleNamespace(step=0, epoch=0, history=pylstm.History())
    >>> with followed(trainer) as follower:
    ...     for trainer.step in range(1, 4):
    ...         follower.end_step()
    """
    follower = Follower(trainer, training_hooks())
    follower.begin()
    yield follower
    follower.end()


def any_ends(callbacks: Iterable[Callable[[Any], Any]], trainer: Any) -> bool:
    """Call all `callbacks` with `trainer`; whether one returned True, which ends the fit."""
    ends = False
    for callback in callbacks:
        name = getattr(callback, "__qualname__", type(callback).__qualname__)
        ends |= call_out(f"the callback {name}", "to end the fit, return True", callback, trainer) is True
    return ends


def call_out(who: str, cure: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function that is not ours: `RuntimeError` for a StopIteration, which a loop would take for its own end.

    Examples
    --------
    >>> call_out("the loss", "return a number", lambda: next(iter(())))
    Traceback (most recent call last):
    ...
    RuntimeError: the loss raised StopIteration: return a number
    """
    try:
        return function(*arguments, **options)
    except StopIteration as error:
        raise RuntimeError(f"{who} raised StopIteration: {cure}") from error
