"""`check_run`: what the diagnostics of one run take; how they lay out what it has of every step."""

from __future__ import annotations

from typing import Any

from pylstm.layers import Run
from pylstm.layers.runs.steps import by_step, input_of

__all__ = ["by_step", "check_run", "input_of"]


def check_run(run: Any) -> None:
    """`TypeError` for what is not the run of one layer, `RuntimeError` for one without a tape."""
    if not isinstance(run, Run):
        raise TypeError(f"this takes the run of one layer{_such_as(run)}; got {type(run).__name__}")
    run._need_tape("diagnostics")


def _such_as(run: Any) -> str:
    """The path to the first run of one layer in a run of layers made of layers, and where its dy comes from."""
    path, dy = "run", "dy"
    while hasattr(run, "forward") or hasattr(run, "layers"):
        if hasattr(run, "forward"):
            run = run.forward
            path, dy = f"{path}.forward", f"{dy}[..., :{run.y.shape[-1]}]"
            continue
        if len(run.layers) > 1:
            dy = f"{path}.backward({dy}).layers[1].x"
        path, run = f"{path}.layers[0]", run.layers[0]
    return "" if path == "run" else f", such as {path} (its dy: {dy})"
