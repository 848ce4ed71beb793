"""PyTorch's own operations on the tensors of a call, for its cells called as it calls them.

Gradients of gradients go through them, and so do programs that are recorded: `torch.jit.trace`, `torch.onnx.export`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pylstm.torch.engines import Engine, Passed

CELLS = {
    "lstm": torch._VF.lstm,
    "lstmp": torch._VF.lstm,
    "gru": torch._VF.gru,
    "rnn_tanh": torch._VF.rnn_tanh,
    "rnn_relu": torch._VF.rnn_relu,
}


def differentiable(engine: Engine, passed: Passed) -> bool:
    """Whether PyTorch has an operation for such a call."""
    found = engine.description
    return found.torch_names and all(name.startswith("initial.") for name in passed.names)


def outputs(engine: Engine, passed: Passed, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """y and the final states of `inputs`, x, weights and given initial states."""
    found, x = engine.description, inputs[0]
    weights = dict(zip(engine.shape_of, inputs[1:]))
    given = dict(zip(passed.names, inputs[1 + len(weights) :]))
    states = []
    for name in engine.states:
        shape = (len(engine.leaves), x.shape[1], engine.widths[name])
        learned = [each for key, each in weights.items() if key.startswith(f"initial_{name}_l")]
        first = torch.stack(learned)[:, None].expand(shape) if learned else x.new_zeros(shape)
        states.append(given.get(f"initial.{name}", first))
    return CELLS[found.cell.name](
        x,
        states if len(states) > 1 else states[0],
        [each for key, each in weights.items() if not key.startswith("initial_")],
        found.bias,
        found.num_layers,
        0.0,
        False,
        found.bidirectional,
        False,
    )


def gradients(engine: Engine, passed: Passed, inputs: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
    """Gradients by `inputs`, x, weights and given initial states, with a graph; None of what has none.

    By views of them, that nothing but this call was made of: one input may be computed from another, or come twice, and
    what lies behind an input is for autograd to follow, not for this call.
    """
    inputs = [each.view_as(each) for each in inputs]
    pairs = [(y, dy) for y, dy in zip(outputs(engine, passed, inputs), cotangents) if dy is not None]
    wanted = [each for each in inputs if each.requires_grad]
    found_grads = iter(
        torch.autograd.grad(
            [y for y, _ in pairs], wanted, [dy for _, dy in pairs], create_graph=True, allow_unused=True
        )
    )
    return [next(found_grads) if each.requires_grad else None for each in inputs]
