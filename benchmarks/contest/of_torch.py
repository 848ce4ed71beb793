"""PyTorch in the contest: `torch.nn.LSTM`, `GRU`, `RNN` and, one step at a time, `LSTMCell`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .problem import Contestant, Problem, gradients


def prepare(threads: int) -> None:
    """Run on `threads` threads."""
    import torch

    torch.set_num_threads(threads)


def train(problem: Problem) -> Contestant:
    """Forward, and backward to the input and all parameters; gradients are dropped before, not summed up."""
    import torch

    layer = _layer(problem)
    leaves = dict(layer.named_parameters())
    x, dy = torch.from_numpy(problem.x.copy()).requires_grad_(), torch.from_numpy(problem.dy.copy())
    tensors = [x, *leaves.values()]

    def call() -> Any:
        for tensor in tensors:
            tensor.grad = None
        y = layer(x)[0]
        y.backward(dy)
        return y

    def results(y: Any) -> dict[str, np.ndarray]:
        state = {key: leaf.grad.numpy() for key, leaf in leaves.items()}
        return {"y": y.detach().numpy(), "dx": x.grad.numpy(), **gradients(problem.cell, problem.H, state)}

    return Contestant(call, results)


def infer(problem: Problem) -> Contestant:
    """Forward only, all outputs, in inference mode."""
    import torch

    layer, x = _layer(problem).eval(), torch.from_numpy(problem.x.copy())

    def call() -> Any:
        with torch.inference_mode():
            return layer(x)[0]

    return Contestant(call, lambda y: {"y": y.numpy()})


def step(problem: Problem) -> Contestant:
    """One step of an `LSTMCell`, its states fed back."""
    import torch

    cell = torch.nn.LSTMCell(problem.I, problem.H)
    cell.load_state_dict({key.removesuffix("_l0"): torch.from_numpy(each) for key, each in problem.weights.items()})
    steps = torch.from_numpy(problem.steps.copy())
    x, zeros = steps[0], torch.zeros(problem.B, problem.H)
    states = (zeros, zeros)

    def call() -> None:
        nonlocal states
        with torch.inference_mode():
            states = cell(x, states)

    def results(_: Any) -> dict[str, np.ndarray]:
        outputs, now = [], (zeros, zeros)
        with torch.inference_mode():
            for x_t in steps:
                now = cell(x_t, now)
                outputs.append(now[0].numpy())
        return {"y": np.stack(outputs)}

    return Contestant(call, results)


def _layer(problem: Problem) -> Any:
    import torch

    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn_tanh": torch.nn.RNN}[problem.cell]
    layer = kind(problem.I, problem.H, dtype=getattr(torch, problem.dtype))
    layer.load_state_dict({key: torch.from_numpy(each) for key, each in problem.weights.items()})
    return layer
