"""`read_other`: series of a file that is not that of the training, by its times; `step_of` is the record of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.commands._shared.series import NAMES, Before, Read, in_order, read_all

if TYPE_CHECKING:
    pass


def read_other(source: str, reading: dict[str, Any], about: dict[str, Any]) -> Read:
    """The series of `source`, in the order of those of the training, and with steps as these where it has too few rows.

    Raises
    ------
    OSError, ValueError
        As `read_all`; other series, or other times, than the training.
    """
    read = read_all(source, {"every": reading["every"]} if source in NAMES else reading, before_of(about))
    read = in_order(read, about.get("ids"))
    check_step(read, about, reading.get("fill"))
    return read


def step_of(read: Read) -> dict[str, Any]:
    """The step of the times, for the file of a model: its kind and size, and what else it is; nothing without times."""
    from pylstm.data.continued import is_dated

    steps = next((each for each in read.steps if each.known), None)
    if steps is None:
        return {"step": None}
    form = None if read.form is None else read.form.pattern
    start = None if is_dated(steps) else float(steps.start)
    return {
        "step": [steps.kind, float(steps.step)],
        "times": {"day": steps.day, "roll": steps.roll, "start": start, "form": form},
    }


def before_of(about: dict[str, Any]) -> Before:
    """The inverse of `step_of`."""
    from pylstm.data.calendar import Steps

    step, times = about.get("step"), about.get("times") or {}
    if not step:
        return Before()
    start: Any = np.datetime64(0, "us") if step[0] != "number" else times.get("start") or 0.0
    size = int(step[1]) if float(step[1]).is_integer() else step[1]
    steps = Steps(step[0], size, start, 1, None, times.get("day", 1), times.get("roll", ""), given=True)
    return Before(steps, times.get("form"))


def check_step(read: Read, about: dict[str, Any], fill: str | None) -> None:
    """Refuse series of other times than those of the training; ``fill="none"`` takes their rows as equal steps.

    Raises
    ------
    ValueError
    """
    from pylstm.data.continued import other_steps

    if fill == "none":
        return
    before = before_of(about).steps
    for steps in read.steps:
        if (found := other_steps(before, steps, read.form)) is not None:
            raise ValueError(
                f"{read.source}: has {found[1]}, the model was trained on {found[0]}: --fill none takes the rows as "
                "such steps"
            )
