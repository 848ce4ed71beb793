"""Tasks on which BrainTrace's authors train online (Wang et al. 2026), made here: no data set is downloaded.

From the package's examples and the experiments of its paper: copying, an integrator, delayed match to sample, evidence
accumulation. Time of the last two is in bins of 10 ms where theirs are of 1 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Batch = tuple[np.ndarray, np.ndarray]
SYMBOLS, WORD, BIN = 8, 10, 0.01


@dataclass(frozen=True)
class Problem:
    """A task.

    Attributes
    ----------
    name, cell : str
        Of the task, and of the layer that learns it.
    inputs, outputs, steps, scored : int
        The loss counts the last `scored` of the `steps`.
    draw : callable
        ``draw(rng, rows)``: x (steps, rows, inputs); target, classes (scored, rows) or (scored, rows, outputs).
    lr : float
        Of Adam.
    classes : bool
        Cross-entropy, or the mean of squares.
    voted : bool
        A row counts as right by its mean over the scored steps.
    """

    name: str
    cell: str
    inputs: int
    outputs: int
    steps: int
    scored: int
    draw: Callable[[np.random.Generator, int], Batch]
    lr: float = 1e-3
    classes: bool = True
    voted: bool = False


def copying(lag: int) -> Problem:
    """10 symbols of 8, a pause of `lag` steps, and 10 steps at which they are to be said again."""
    steps = lag + 2 * WORD

    def draw(rng: np.random.Generator, rows: int) -> Batch:
        ids = np.zeros((steps, rows), int)
        ids[:WORD] = rng.integers(1, SYMBOLS + 1, (WORD, rows))
        ids[-WORD:] = SYMBOLS + 1
        return np.eye(SYMBOLS + 2, dtype="float32")[ids], ids[:WORD]

    return Problem("copying", "gru", SYMBOLS + 2, SYMBOLS + 2, steps, WORD, draw)


def integrator(steps: int) -> Problem:
    """The sum of a noisy signal up to each of the steps of a second."""
    dt, mean, scale = 1 / steps, 0.025, 0.01

    def draw(rng: np.random.Generator, rows: int) -> Batch:
        drift = mean * 2 * (rng.normal(size=(1, rows, 1)) - 0.5)
        x = (drift + scale / dt**0.5 * rng.normal(size=(steps, rows, 1))).astype("float32")
        return x, x.cumsum(axis=0)

    return Problem("integrator", "mingru", 1, 1, steps, steps, draw, lr=5e-3, classes=False)


def matching(delay: int) -> Problem:
    """Delayed match to sample: is the direction after a pause of `delay` bins that of before? Spikes of 100 neurons."""
    neurons, directions, shown, before = 100, 8, 50, 1
    angles = 2 * np.pi * np.arange(directions)[:, None] / directions
    tuning = np.exp(3 * (np.cos(angles - 2 * np.pi * np.arange(neurons) / neurons) - 1))
    steps = before + 2 * shown + delay

    def draw(rng: np.random.Generator, rows: int) -> Batch:
        match, sample = rng.integers(0, 2, rows), rng.integers(0, directions, rows)
        other = (sample + rng.integers(1, directions, rows)) % directions
        rate = np.full((steps, rows, neurons), 1.0)
        rate[before : before + shown] += 100 * tuning[sample]
        rate[-shown:] += 100 * tuning[np.where(match, sample, other)]
        x = (rng.random(rate.shape) < rate * BIN).astype("float32")
        return x, np.broadcast_to(match, (shown, rows))

    return Problem("matching", "alif", neurons, 2, steps, shown, draw, lr=5e-3, voted=True)


def evidence(delay: int) -> Problem:
    """Evidence accumulation: seven cues on the left or the right, and after `delay` bins, on which side were more?"""
    each, cues, cue, pause, recall = 25, 7, 10, 5, 15
    steps = cues * (cue + pause) + delay + recall

    def draw(rng: np.random.Generator, rows: int) -> Batch:
        sides = rng.random((cues, rows)) > np.where(rng.random(rows) < 0.5, 0.3, 0.7)
        rate = np.zeros((steps, rows, 4, each))
        for k, left in enumerate(sides):
            first = pause + k * (cue + pause)
            rate[first : first + cue, left, 0] = rate[first : first + cue, ~left, 1] = 40
        rate[-recall:, :, 2] = 40
        rate[:, :, 3] = 10
        x = (rng.random(rate.shape) < rate * BIN).astype("float32").reshape(steps, rows, 4 * each)
        return x, np.broadcast_to((sides.sum(axis=0) > cues / 2).astype(int), (recall, rows))

    return Problem("evidence", "alif", 4 * each, 2, steps, recall, draw, lr=5e-3, voted=True)


def judged(problem: Problem, y: np.ndarray, target: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Loss of outputs (scored, rows, outputs), share that is right (of numbers the loss), cotangent of the loss."""
    count = y.shape[0] * y.shape[1]
    if not problem.classes:
        gap = y - target
        loss = float((gap**2).mean())
        return loss, loss, 2 * gap / gap.size
    p = np.exp(y - y.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    right = np.take_along_axis(p, target[..., None], -1)[..., 0]
    dy = p.copy()
    np.put_along_axis(dy, target[..., None], right[..., None] - 1, -1)
    said = y.mean(axis=0).argmax(-1) == target[0] if problem.voted else y.argmax(-1) == target
    return float(-np.log(np.maximum(right, 1e-30)).mean()), float(said.mean()), (dy / count).astype(y.dtype)


PROBLEMS: dict[str, tuple[Callable[[int], Problem], int]] = {
    "copying": (copying, 20),
    "integrator": (integrator, 25),
    "matching": (matching, 20),
    "evidence": (evidence, 20),
}
"""Name -> what makes it, and its length by default; theirs are 200, 25, 100 and 100."""
