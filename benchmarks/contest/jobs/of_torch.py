"""PyTorch in a job: modules, `Adam` and `clip_grad_norm_`; of the formula a loop over the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .tasks import BATCHES, CLIP, COMPARED, LEARNING_RATE, PEEPHOLES, Job, second_bias_trained, torch_layout


def train(job: Job) -> Callable[[int], list[float]]:
    """Trains for so many steps more; their losses."""
    import torch

    net = _net(job)
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    batches = [tuple(map(torch.from_numpy, each)) for each in job.batches()]
    step, states, hook = 0, None, _hook(job, net)

    def run(steps: int) -> list[float]:
        nonlocal step, states
        losses = []
        for _ in range(steps):
            x, y = batches[step % BATCHES]
            out, after = net(x, states)
            loss = torch.nn.functional.cross_entropy(out.flatten(0, -2), y.flatten())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimiser.step()
            losses.append(loss.item())
            step += 1
            if step == COMPARED and hook:
                hook.remove()
            states = _detached(after) if job.task.text and step % BATCHES else None
        return losses

    return run


def infer(job: Job) -> Callable[[], np.ndarray]:
    """Outputs of the head for the first batch."""
    import torch

    net, x = _net(job).eval(), torch.from_numpy(job.batch(0)[0])

    def call() -> np.ndarray:
        with torch.inference_mode():
            return net(x)[0].numpy()

    return call


def _hook(job: Job, net: Any) -> Any:
    """Holds the second bias where it adds to the first, while losses are compared."""
    import torch

    if job.cell == "formula":
        return None
    factors = torch.from_numpy(second_bias_trained(job))
    return net.layer.bias_hh_l0.register_hook(lambda gradient: gradient * factors)


def _detached(states: Any) -> Any:
    return tuple(each.detach() for each in states) if isinstance(states, tuple) else states.detach()


def _net(job: Job) -> Any:
    import torch

    task = job.task

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(task.K, task.I) if task.text else torch.nn.Identity()
            self.layer = _layer(job)
            self.head = torch.nn.Linear(task.H, task.K)

        def forward(self, x: Any, states: Any = None) -> Any:
            y, states = self.layer(self.embedding(x), states)
            return self.head(y if task.text else y[:, -1]), states

    net = Net()
    weights = {"head.weight": job["head_weight"], "head.bias": job["head_bias"]}
    weights |= {f"layer.{name}": array for name, array in _layer_weights(job).items()}
    weights |= {"embedding.weight": job["embedding"]} if task.text else {}
    net.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    return net


def _layer(job: Job) -> Any:
    import torch

    task = job.task
    if job.cell == "formula":
        return _formula(task.I, task.H, rows_first=not task.text)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[job.cell]
    return kind(task.I, task.H, batch_first=not task.text)


def _layer_weights(job: Job) -> dict[str, np.ndarray]:
    if job.cell == "formula":
        return {"W": job["W"], "U": job["U"], "b": job["b"]} | {name: job[name] for name in PEEPHOLES}
    return torch_layout(job)


def _formula(inputs: int, units: int, rows_first: bool) -> Any:
    """The LSTM with peepholes as a module; its products with x are taken out of the loop."""
    import torch
    from torch import nn

    class Formula(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            shapes = {"W": (4 * units, inputs), "U": (4 * units, units), "b": (4 * units,)}
            for name, shape in (shapes | dict.fromkeys(PEEPHOLES, (units,))).items():
                self.register_parameter(name, nn.Parameter(torch.empty(shape)))

        def forward(self, x: Any, states: Any = None) -> Any:
            x = x.transpose(0, 1) if rows_first else x
            h, c = states or (x.new_zeros(x.shape[1], units), x.new_zeros(x.shape[1], units))
            outputs = []
            for z_x in nn.functional.linear(x, self.W, self.b):
                z_i, z_f, z_g, z_o = torch.addmm(z_x, h, self.U.T).chunk(4, 1)
                i, f = torch.sigmoid(z_i + self.p_i * c), torch.sigmoid(z_f + self.p_f * c)
                c = f * c + i * torch.tanh(z_g)
                h = torch.sigmoid(z_o + self.p_o * c) * torch.tanh(c)
                outputs.append(h)
            return torch.stack(outputs, 1 if rows_first else 0), (h, c)

    return Formula()
