"""`run_fit`: a fit on the command line, with progress, checkpoints and signals."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any


def run_fit(fit: Callable[..., Any], args: argparse.Namespace, **options: Any) -> tuple[Any, int, dict[str, Any]]:
    """Call `fit` with progress and the options of checkpoints.

    Parameters
    ----------
    fit : callable
        Takes ``progress`` as `pylstm.fit` does, and returns the `History`.
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
        Summary for --json.
    """
    from pylstm.training.interrupt import stop_on_interrupt
    from pylstm.training.progress import Progress

    progress = False if args.quiet else Progress(file=sys.stderr if args.json else sys.stdout)
    start = time.perf_counter()
    with stop_on_interrupt() as stopped:  # a fit sends SIGTERM again: here it is held until the model is saved
        history = fit(progress=progress, **options)
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


@contextlib.contextmanager
def noted() -> Iterator[list[str]]:
    """Warnings of pylstm as a list of texts, without repetitions, in place of Python's lines about them."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    for each in caught:
        if issubclass(each.category, UserWarning):
            notes += [str(each.message)] * (str(each.message) not in notes)
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def ended(found: dict[str, Any]) -> str:
    """Summary line for the terminal."""
    after = {"interrupted": "interrupted after ", "early": "stopped early, after "}.get(found["stopped"], "")
    loss = "" if found["loss"] is None else f", loss {found['loss']:.4g}"
    if found["validation_losses"]:
        loss += f", validation {min(found['validation_losses']):.4g} at best"
    return (
        f"done    {after}{found['epochs']} epoch{'' if found['epochs'] == 1 else 's'}, {found['seconds']:.1f} s{loss}"
    )
