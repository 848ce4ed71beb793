"""`followed`: the training hooks of all plugins around a loop of training, of whatever kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pylstm.plugins import training_hooks


class Follower(NamedTuple):
    """What a loop of training calls between its steps: every hook gets the `trainer` of that loop."""

    trainer: Any
    hooks: Any

    def end_step(self) -> None:
        """After each step of the optimiser, when it is counted."""
        self.hooks.pylstm_on_step_end(trainer=self.trainer)

    def end_epoch(self) -> None:
        """After each epoch, when its losses are in the history."""
        self.hooks.pylstm_on_epoch_end(trainer=self.trainer)


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
    hooks = training_hooks()
    hooks.pylstm_on_fit_begin(trainer=trainer)
    yield Follower(trainer, hooks)
    hooks.pylstm_on_fit_end(trainer=trainer)
