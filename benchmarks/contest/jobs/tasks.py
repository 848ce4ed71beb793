"""`TASKS`, and `Job`: one task with one cell, its data and initial weights, the same for every contestant."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

LEARNING_RATE, CLIP = 1e-3, 1.0
BATCHES = 16
"""Batches of an epoch; after them comes the first again, with states of zeros."""
COMPARED = 5
"""The first steps, whose losses are compared; in them, where a library has two biases that are added, one stays."""
CELLS = {"lstm": "LSTM", "gru": "GRU", "formula": "A formula (peephole LSTM)"}
"""Those of PyTorch, in its order of gates; and one that its users write themselves, as pylstm's do by a formula."""
GATES = {"lstm": 4, "gru": 3, "formula": 4}
PEEPHOLES = ("p_i", "p_f", "p_o")


@dataclass(frozen=True)
class Task:
    """Rows B, steps T, inputs I, units H and classes K.

    Attributes
    ----------
    text : bool
        x are indices below `K`, of which an embedding makes `I` numbers; every step has a target, the next index;
        and states are carried over from batch to batch. Otherwise x are numbers, and the last step is classified.
    """

    name: str
    B: int
    T: int
    I: int
    H: int
    K: int
    text: bool = False


TASKS = (
    Task("text", 16, 64, 64, 256, 100, text=True),
    Task("wide-text", 32, 100, 128, 512, 100, text=True),
    Task("digits", 64, 28, 28, 128, 10),
    Task("sensors", 16, 50, 4, 16, 3),
    Task("small-batch", 4, 100, 8, 64, 5),
)
TASK = {task.name: task for task in TASKS}


@dataclass(frozen=True)
class Job:
    """A task, a cell of `GATES`, and the arrays of `draw`."""

    task: Task
    cell: str
    arrays: dict[str, np.ndarray]

    @classmethod
    def drawn(cls, task: Task, cell: str) -> Job:
        rng = np.random.default_rng(0)
        return cls(task, cell, draw_weights(task, cell, rng) | draw_data(task, rng))

    @classmethod
    def read(cls, path: str) -> Job:
        with np.load(path) as file:
            arrays = dict(file)
        about = json.loads(str(arrays.pop("about")))
        return cls(Task(**about["task"]), about["cell"], arrays)

    def write(self, path: Any) -> None:
        np.savez(path, about=json.dumps({"task": asdict(self.task), "cell": self.cell}), **self.arrays)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """x and targets of step 0, 1, ...: indices (T, B) and (T, B), or (B, T, I) and (B,)."""
        number, task = step % BATCHES, self.task
        rows = slice(number * task.B, (number + 1) * task.B)
        if not task.text:
            return self["x"][rows], self["y"][rows]
        streams = self["indices"][:-1].reshape(task.B, -1), self["indices"][1:].reshape(task.B, -1)
        steps = slice(number * task.T, (number + 1) * task.T)
        x, y = (np.ascontiguousarray(stream[:, steps].T) for stream in streams)
        return x, y

    def batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Those of an epoch."""
        return [self.batch(step) for step in range(BATCHES)]


def draw_weights(task: Task, cell: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """``W`` (G H, I), ``U`` (G H, H), ``b`` (G H,), of the GRU ``b_m`` (H,), peepholes (H,), head, embedding."""
    H, G = task.H, GATES[cell]
    shapes: dict[str, tuple[int, ...]] = {"W": (G * H, task.I), "U": (G * H, H), "b": (G * H,)}
    shapes |= {"b_m": (H,)} if cell == "gru" else {}
    shapes |= dict.fromkeys(PEEPHOLES, (H,)) if cell == "formula" else {}
    shapes |= {"head_weight": (task.K, H), "head_bias": (task.K,)}
    bound = 1 / sqrt(H)
    arrays = {name: rng.uniform(-bound, bound, shape).astype("f4") for name, shape in shapes.items()}
    if task.text:
        arrays["embedding"] = rng.standard_normal((task.K, task.I)).astype("f4")
    return arrays


def draw_data(task: Task, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """``indices``, all but index 0 equally often; or ``x`` (N, T, I) and ``y`` (N,)."""
    rows = task.B * BATCHES
    if task.text:
        return {"indices": rng.permutation(np.resize(np.arange(1, task.K), rows * task.T + 1))}
    x = rng.uniform(-1, 1, (rows, task.T, task.I)).astype("f4")
    return {"x": x, "y": rng.integers(0, task.K, rows)}


def second_bias_trained(job: Job) -> np.ndarray:
    """Factors (G H,) on the gradient of the bias of h while losses are compared: 1 where nothing is added to it."""
    factors = np.zeros_like(job["b"])
    if job.cell == "gru":
        factors[-job.task.H :] = 1  # U_n h + b_m is multiplied by the reset gate
    return factors


def torch_layout(job: Job) -> dict[str, np.ndarray]:
    """The layer's weights as a torch state dict of an LSTM or a GRU, the second bias of zeros where it can be."""
    second = np.zeros_like(job["b"])
    if job.cell == "gru":
        second[-job.task.H :] = job["b_m"]
    return {"weight_ih_l0": job["W"], "weight_hh_l0": job["U"], "bias_ih_l0": job["b"], "bias_hh_l0": second}
