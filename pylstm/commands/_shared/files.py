"""Early checks of output paths, before hours of training; the exit status of a command."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

FIGURES = (".png", ".svg", ".pdf")
"""Suffixes of the formats that `--plot` writes."""


def check_target(option: str, path: str) -> None:
    """Reject, before training, a path to which nothing could be saved afterwards."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"{option} {path}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{option} {path}: no permission to write in {folder}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{option} {path}: exists but is not a regular file")


def check_distinct(**paths: str | None) -> None:
    """Reject outputs that would replace each other or the data that are read.

    Parameters
    ----------
    **paths : str or None
        By what messages call them: ``{"--save": "m", "DATA": "d.csv"}``; None is none.
    """
    found = [(name, path) for name, path in paths.items() if path is not None]
    for k, (name, path) in enumerate(found):
        for other, before in found[:k]:
            same = os.path.realpath(path) == os.path.realpath(before)
            if same or (os.path.exists(path) and os.path.exists(before) and os.path.samefile(path, before)):
                raise ValueError(f"{name} {path}: is the same file as {other} {before}: choose another path")


def check_plot(path: str | None) -> None:
    """Reject a plot that cannot be written; None: no plot."""
    import importlib.util

    if path is None:
        return
    if not path.lower().endswith(FIGURES):
        raise ValueError(f"--plot {path}: the name must end in {', '.join(FIGURES[:-1])} or {FIGURES[-1]}")
    check_target("--plot", path)
    if importlib.util.find_spec("matplotlib") is None:
        raise ModuleNotFoundError("--plot needs matplotlib: pip install 'pylstm[plot]'", name="matplotlib")


def drop_checkpoint(args: Any, path: str | None, signal: int) -> None:
    """Remove the checkpoint of a finished run, whose model has been saved; an interrupted run keeps its own."""
    if path is not None and not signal and not args.keep_checkpoint:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def exit_status(signal: int) -> int:
    """0, or what shells have after a signal: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + signal if signal else 0


def say(args: Any, *lines: str) -> None:
    """Print a message; to standard error where standard output is for JSON, and nothing with --quiet."""
    if not getattr(args, "quiet", False):
        print(*lines, sep="\n", file=sys.stderr if args.json else sys.stdout, flush=True)
