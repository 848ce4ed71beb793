"""`check_run`: what the diagnostics of one run take; how they lay out what it has of every step."""

from __future__ import annotations

from typing import Any

from pylstm.layers import Run
from pylstm.layers.runs.steps import by_step, input_of

__all__ = ["by_step", "check_run", "input_of"]


def check_run(run: Any) -> None:
    """`TypeError` for what is not the run of one layer, `RuntimeError` for one without a tape."""
    if not isinstance(run, Run):
        one = "run.forward" if hasattr(run, "forward") else "run.layers[0] of a stack"
        raise TypeError(f"this takes the run of one layer, such as {one}; got {type(run).__name__}")
    run._need_tape("diagnostics")
