"""A fit on the command line: its progress, and its end by a signal."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

LINES = 10
"""Lines of plain progress over a whole fit."""


class Lines:
    """A line of progress at every tenth of the epochs, where standard error is no terminal; a callback of a fit."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args, self._start, self._shown = args, time.perf_counter(), 0

    def __call__(self, trainer: Any) -> None:
        """Show the state of `trainer` after an epoch."""
        from pylstm.commands._shared.files import say

        done = trainer.epoch / trainer.epochs
        if done * LINES < self._shown + 1:
            return
        self._shown = int(done * LINES)
        seconds = time.perf_counter() - self._start
        say(self._args, f"{done:5.0%}  epoch {trainer.epoch}  {seconds:.1f} s  loss {trainer.history.loss[-1]:.4g}")


def run_fit(fit: Callable[..., Any], args: argparse.Namespace, **options: Any) -> tuple[Any, int, dict[str, Any]]:
    """Call `fit` with progress and the options of checkpoints.

    Parameters
    ----------
    fit : callable
        Takes ``progress`` and ``callbacks`` as `pylstm.fit` does, and gives the `History`.
    args : Namespace
        With ``quiet`` and ``json``.
    **options
        For `fit`.

    Returns
    -------
    history : History
    signal : int
        That ended it; 0 for none.
    found : dict
        What JSON says of it.
    """
    from pylstm.training.interrupt import stop_on_interrupt

    bar = sys.stderr.isatty() and not args.quiet
    callbacks = [] if bar or args.quiet else [Lines(args)]
    start = time.perf_counter()
    with stop_on_interrupt() as stopped:  # a fit sends SIGTERM again: here it is held until the model is saved
        history = fit(progress=bar, callbacks=callbacks, **options)
        number = stopped()
    if history.stopped == "interrupted":
        number = number or signal.SIGINT
    found = {
        "epochs": len(history.loss),
        "seconds": time.perf_counter() - start,
        "interrupted": bool(number),
        "loss": history.loss[-1] if history.loss else None,
        "losses": history.steps,
        "validation_losses": history.validation_loss,
        "stopped": "interrupted" if number else history.stopped,
    }
    return history, int(number), found


def ended(found: dict[str, Any]) -> str:
    """The same for a reader."""
    after = {"interrupted": "interrupted after ", "early": "stopped early, after "}.get(found["stopped"], "")
    loss = "" if found["loss"] is None else f", loss {found['loss']:.4g}"
    if found["validation_losses"]:
        loss += f", validation {min(found['validation_losses']):.4g} at best"
    return f"done    {after}{found['epochs']} epochs, {found['seconds']:.1f} s{loss}"
