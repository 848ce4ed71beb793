"""pylstm in the contest."""

from __future__ import annotations

from typing import Any

import numpy as np

from .problem import HAVE_TORCH_LAYOUT, Contestant, Problem, gradients, in_torch_layout


def prepare(threads: int) -> None:
    """Run on `threads` threads."""
    import pylstm

    if hasattr(pylstm, "set_num_threads"):
        pylstm.set_num_threads(threads)


def train(problem: Problem) -> Contestant:
    """Forward, and backward to the input and all parameters."""
    layer, x, dy = problem.layer, problem.x, problem.dy

    def call() -> Any:
        run = layer(x)
        return run.y, run.backward(dy)

    def results(found: Any) -> dict[str, np.ndarray]:
        y, grads = found
        if problem.cell not in HAVE_TORCH_LAYOUT:
            return {"y": y, "dx": grads.x, **{f"d{name}": grads.params[name] for name in grads.params}}
        state = in_torch_layout(problem.cell, problem.I, problem.H, grads.params)
        return {"y": y, "dx": grads.x, **gradients(problem.cell, problem.H, state)}

    return Contestant(call, results)


def infer(problem: Problem) -> Contestant:
    """Forward only, all outputs."""
    layer, x = problem.layer, problem.x
    return Contestant(lambda: layer(x, tape=False).y, lambda y: {"y": y})


def step(problem: Problem) -> Contestant | None:
    """One step of a stream into a given array. None where layers have no streams."""
    if not hasattr(problem.layer, "stream"):
        return None
    stream, steps = problem.layer.stream(problem.B), problem.steps
    one, x = stream.step, np.ascontiguousarray(steps[0])
    out = np.empty((problem.B, problem.H), problem.dtype)

    def results(_: Any) -> dict[str, np.ndarray]:
        fresh = problem.layer.stream(problem.B)
        return {"y": np.stack([np.array(fresh.step(x_t)) for x_t in steps])}

    return Contestant(lambda: one(x, out=out), results)


def feed(problem: Problem) -> Contestant | None:
    """All steps of a chunk in one call, from the state that the last chunk left. None where layers have no streams."""
    if not hasattr(problem.layer, "stream"):
        return None
    stream, x = problem.layer.stream(problem.B), problem.x
    return Contestant(lambda: stream.feed(x), lambda _: {"y": problem.layer.stream(problem.B).feed(x)})
