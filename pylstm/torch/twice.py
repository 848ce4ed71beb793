"""Gradients of gradients: by PyTorch's operations of its own cells called as it calls them, by tangents of all others.

The former are for any order, and for programs that are recorded: `torch.jit.trace`, `torch.onnx.export`. Of the latter:
let g be the gradients that a call's backward pass sends for cotangents d. For the cotangents v of g, by the symmetry of
second derivatives, the gradient of <v, g> by the inputs is the derivative of g along v, and that by d is the derivative
of the outputs along v: `Run.hvp` and `Run.jvp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pylstm.torch.engines import Engine, Passed
from pylstm.torch.spinning import settle

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


THIRD = (
    "gradients of gradients of gradients pass through pylstm.torch.LSTM, GRU and RNN called with input and hx only: "
    "take the second gradient without create_graph=True"
)


def arrays(tensors: Sequence[Any]) -> list[Any]:
    """The memory of tensors, None for None."""
    return [None if tensor is None else tensor.numpy(force=True) for tensor in tensors]


def has_tangents(passed: Passed, inputs: Sequence[Any]) -> bool:
    """Whether all that needs a gradient is x, a weight or an initial state."""
    given = inputs[len(inputs) - len(passed.names) :]
    return all(
        name.startswith("initial.") or not each.requires_grad
        for name, each in zip(passed.names[: passed.smooth], given)
    )


class GradientCall(torch.autograd.Function):
    """The gradients of a call, as a call: ((engine, run, steps), passed, number of weights), inputs, cotangents."""

    @staticmethod
    def forward(ctx: Any, how: Any, *tensors: Any) -> Any:
        """What backward of the call sends."""
        (engine, run, steps), passed, ctx.weights = how
        ctx.engine, ctx.passed, ctx.steps = engine, passed, steps
        ctx.count = 1 + ctx.weights + len(passed.names)
        ctx.save_for_backward(*tensors)
        settle(2 * engine.size * steps)
        found = engine.backward(run, passed, arrays(tensors[ctx.count :]))
        return tuple(torch.from_numpy(array) for array in found)

    @staticmethod
    def backward(ctx: Any, *moved: Any) -> Any:
        """Gradients, by the tangents along what comes back."""
        x, *rest = arrays(ctx.saved_tensors)
        weights, given, cotangents = rest[: ctx.weights], rest[ctx.weights : ctx.count - 1], rest[ctx.count - 1 :]
        settle(6 * ctx.engine.size * ctx.steps)
        sent = dict(zip(ctx.passed.names, moved[1 + ctx.weights :]))
        along = arrays((*moved[: 1 + ctx.weights], *(sent[name] for name in ctx.passed.states)))
        grads, outputs = ctx.engine.again((x, weights, ctx.passed, given), cotangents, along)
        by_name = dict(zip(ctx.passed.states, grads[1 + ctx.weights :]))
        every = (*grads[: 1 + ctx.weights], *(by_name.get(name) for name in ctx.passed.names), *outputs)
        found = [None if array is None else torch.from_numpy(array) for array in every]
        if torch.is_grad_enabled():  # with create_graph=True
            found = _Last.apply(len(found), *found, *ctx.saved_tensors, *moved)
        return None, *found


class _Last(torch.autograd.Function):
    """The first `count` tensors, through which no gradient passes to the others, of which they were made."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Any) -> Any:
        return tuple(None if tensor is None else tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        raise NotImplementedError(THIRD)
