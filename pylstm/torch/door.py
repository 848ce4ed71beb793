"""`call`, the door from autograd into an engine: two functions, behind a Function of autograd and behind two operators.

Eager code goes through an ``autograd.Function``, which costs about a quarter of what an operator with a registered
gradient does; torch.compile, export, modes of dispatch and tensors without values see the operators
``pylstm::forward`` and ``pylstm::backward``; what records with `torch.jit.trace` or exports to ONNX sees PyTorch's own.

The operators hand the run from forward to backward as a *tape*: a tensor of one byte whose memory belongs to an array
that holds the run. PyTorch frees the run with its saved tensors, and finds it by the address. The Function holds it on
its context, until the backward pass that does not keep the graph; where hooks see the saved tensors, it is a tape, too.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pylstm.torch.engines import Engine, Passed, engine_of, passed_of
from pylstm.torch.spinning import settle
from pylstm.torch.twice import GradientCall, arrays, differentiable, gradients, has_tangents, outputs

AGAIN = (
    "gradients of gradients pass through a module of pylstm.torch in eager mode, where aux, pre and blend need none: "
    "call it without torch.compile, detach() these, or call backward without create_graph=True"
)
TRANSFORMED = (
    "torch.func (vmap, grad, jvp, functional transforms) does not pass through a module of pylstm.torch, which takes "
    "whole batches: use backward() or torch.autograd.grad, and one call on (T, B, input_size) in place of vmap"
)
RECORDED = (
    "torch.jit.trace and torch.onnx.export record pylstm.torch.LSTM, GRU and RNN only, called with input and hx, "
    "without dropout between layers (module.eval()): for other cells pass module.to_pylstm() to "
    "pylstm.interop.onnx.export, or use torch.export"
)
LOST = (
    "the tape of a pylstm.torch module was copied, and cannot be used: leave it out of hooks on saved tensors, such as "
    "torch.autograd.graph.save_on_cpu; torch.utils.checkpoint works"
)


Held = tuple[Engine, Any, int]
"""What backward needs: the engine, the run, and its steps times rows."""


class _Tape(np.ndarray[Any, Any]):
    """One byte of memory that holds a run."""

    run: Any = None


_TAPES: weakref.WeakValueDictionary[int, _Tape] = weakref.WeakValueDictionary()


def _keep(run: Held) -> Any:
    """A tensor that holds a run, and its engine, for as long as its memory lives."""
    array = np.zeros(1, np.uint8).view(_Tape)
    array.run = run
    tensor = torch.from_numpy(array)
    _TAPES[tensor.data_ptr()] = array
    return tensor


def _kept(tape: Any) -> Any:
    """The engine and the run."""
    found = _TAPES.get(tape.data_ptr())
    if found is None:
        raise RuntimeError(LOST)
    return found.run


def _run(
    engine: Engine, x: Any, weights: Sequence[Any], passed: Passed, given: Sequence[Any], tape: bool
) -> tuple[list[Any], Held]:
    """(y, final states), and what backward needs."""
    steps = x.shape[0] * x.shape[1]
    settle(engine.size * steps)
    x, *rest = arrays([x, *weights, *given])
    outputs, run = engine.forward(x, rest[: len(weights)], passed, rest[len(weights) :], tape)
    return [torch.from_numpy(array) for array in outputs], (engine, run, steps)


def _forward(engine: Engine, x: Any, weights: Sequence[Any], passed: Passed, given: Sequence[Any], tape: bool) -> Any:
    """(y, final states, tape)."""
    outputs, held = _run(engine, x, weights, passed, given, tape)
    return (*outputs, _keep(held) if tape else torch.empty(0, dtype=torch.uint8))


def _backward(passed: Passed, held: Held, cotangents: Sequence[Any], needs: Sequence[bool] = ()) -> list[Any]:
    """Gradients of x, of the weights and of what was passed."""
    engine, run, steps = held
    settle(2 * engine.size * steps)
    return [torch.from_numpy(array) for array in engine.backward(run, passed, arrays(cotangents), needs)]


_HOOKS: Any = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
_KEEPS_GRAPH: Any = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)


def _on_context() -> bool:
    """Whether the context of a Function may hold its run: PyTorch says in backward whether the graph is kept.

    Not where hooks see the saved tensors, such as those of checkpointing, which drop them.
    """
    return _KEEPS_GRAPH is not None and _HOOKS is not None and _HOOKS(True) is None


def _version(tensor: Any) -> int:
    """How often a tensor was changed in place."""
    return 0 if tensor.is_inference() else int(tensor._version)


def _every(constants: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """All inputs of a call, of which `inputs` are those with gradients."""
    rest = iter(inputs)
    for constant in constants:
        if constant is not None and _version(constant[0]) != constant[1]:
            raise RuntimeError("an input of a pylstm.torch module was modified by an inplace operation before backward")
    return [next(rest) if constant is None else constant[0] for constant in constants]


def _whole(cotangents: Sequence[Any], shapes: Sequence[Any], like: Any) -> list[Any]:
    """Cotangents, those that are not there as zeros."""
    return [like.new_zeros(shape) if each is None else each for each, shape in zip(cotangents, shapes)]


class _Call(torch.autograd.Function):
    """A call in eager code: (engine, passed, tape, number of weights), x, *weights, *given -> y, *finals."""

    @staticmethod
    def forward(ctx: Any, how: tuple[Engine, Passed, bool, int], x: Any, *others: Any) -> Any:
        engine, passed, tape, count = ctx.how = how
        outputs, run = _run(engine, x, others[:count], passed, others[count:], tape)
        if tape:
            every = (x, *others)
            ctx.held = run if _on_context() else None
            held = [] if ctx.held is not None else [_keep(run)]
            ctx.save_for_backward(*(each for each in every if each.requires_grad), *held)
            ctx.constants = [None if each.requires_grad else (each, _version(each)) for each in every]
            ctx.set_materialize_grads(False)
            ctx.shapes = [each.shape for each in outputs]
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        (engine, passed, _, count), inputs, needs = ctx.how, ctx.saved_tensors, ctx.needs_input_grad[1:]
        if ctx.held is None:
            *inputs, tape = inputs
            held = _kept(tape)
        else:
            held = ctx.held
            if not _KEEPS_GRAPH():
                ctx.held = None
        if all(each is None for each in cotangents):
            return (None,) * (1 + len(needs))
        if torch.is_grad_enabled() and differentiable(engine, passed):  # with create_graph=True
            grads = gradients(engine, passed, _every(ctx.constants, inputs), cotangents)
        elif torch.is_grad_enabled() and has_tangents(passed, every := _every(ctx.constants, inputs)):
            grads = list(GradientCall.apply((held, passed, count), *every, *_whole(cotangents, ctx.shapes, every[0])))
        elif torch.is_grad_enabled():
            tape = _keep(held)
            grads = backward_op(tape, _whole(cotangents, ctx.shapes, inputs[0]), inputs, engine.key, passed.text)
        else:
            grads = _backward(passed, held, cotangents, needs[: 1 + count])
        grads += [None] * (len(needs) - len(grads))
        return (None, *(grad if need else None for grad, need in zip(grads, needs)))


@torch.library.custom_op("pylstm::forward", mutates_args=(), device_types="cpu")
def forward_op(
    x: torch.Tensor, weights: list[torch.Tensor], given: list[torch.Tensor], engine: str, passed: str, tape: bool
) -> list[torch.Tensor]:
    """`_forward` as an operator."""
    return list(_forward(engine_of(engine), x, weights, passed_of(passed), given, tape))


@forward_op.register_fake
def _(x: Any, weights: Any, given: Any, engine: str, passed: str, tape: bool) -> list[Any]:
    if torch.onnx.is_in_onnx_export():  # which tries in several ways, and says what the last one does not know
        raise TypeError(RECORDED)
    found, (T, B, _) = engine_of(engine), x.shape
    finals = [x.new_empty(len(found.leaves), B, found.widths[name]) for name in found.states]
    return [x.new_empty(T, B, found.output_size), *finals, x.new_empty(int(tape), dtype=torch.uint8)]


@torch.library.custom_op("pylstm::backward", mutates_args=(), device_types="cpu")
def backward_op(
    tape: torch.Tensor, cotangents: list[torch.Tensor], inputs: list[torch.Tensor], engine: str, passed: str
) -> list[torch.Tensor]:
    """`_backward` as an operator; `inputs` are there so that what depends on them is refused in a second backward."""
    return _backward(passed_of(passed), _kept(tape), cotangents)


@backward_op.register_fake
def _(tape: Any, cotangents: Any, inputs: Any, engine: str, passed: str) -> list[Any]:
    found, names = engine_of(engine), passed_of(passed)
    dy, (T, B, _) = cotangents[0], cotangents[0].shape
    shapes: list[Any] = [(T, B, found.description.input_size)]
    shapes += found.shape_of.values()
    for name in names.names[: names.smooth]:
        kind, *rest = name.split(".")
        if kind == "initial":
            shapes.append((len(found.leaves), B, found.widths[rest[0]]))
        else:
            shapes.append((T, B, found.widths[rest[1]] if len(rest) == 2 else 1))
    return [dy.new_empty(shape) for shape in shapes]


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    x, weights, given, ctx.engine, ctx.passed, _ = inputs
    ctx.counts = len(weights), len(given)
    ctx.save_for_backward(output[-1], *(each for each in (x, *weights, *given) if each.requires_grad))


def _differentiate(ctx: Any, cotangents: Any) -> Any:
    tape, *inputs = ctx.saved_tensors
    dx, *grads = backward_op(tape, list(cotangents[:-1]), inputs, ctx.engine, ctx.passed)
    weights, given = ctx.counts
    of_given = grads[weights:] + [None] * (given + weights - len(grads))
    return dx, grads[:weights], of_given, None, None, None


def _refuse_second(ctx: Any, cotangents: Any) -> Any:
    raise NotImplementedError(AGAIN)


def _refuse_vmap(info: Any, in_dims: Any, *arguments: Any) -> Any:
    raise TypeError(TRANSFORMED)


forward_op.register_autograd(_differentiate, setup_context=_save)
backward_op.register_autograd(_refuse_second)
forward_op.register_vmap(_refuse_vmap)
backward_op.register_vmap(_refuse_vmap)


_apply = super(torch.autograd.Function, _Call).apply  # without a search for transforms, which `call` refuses


def call(engine: Engine, x: Any, weights: Sequence[Any], given: dict[str, Any]) -> Any:
    """(y, final states) of an engine, all (T, B, ...).

    Parameters
    ----------
    engine : Engine
    x : Tensor, shape (T, B, input_size)
    weights : sequence of Tensor
        In the order of the engine's names.
    given : dict of str to Tensor
        Named as in `Passed`, those with gradients first.
    """
    passed, others = " ".join(given), list(given.values())
    compiling = torch.compiler.is_compiling()
    if torch._C._get_tracing_state() is not None or (compiling and torch.onnx.is_in_onnx_export()):
        if not differentiable(engine, passed_of(passed)):
            raise TypeError(RECORDED)
        return outputs(engine, passed_of(passed), [x, *weights, *others])
    tape = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *weights, *others))
    if torch._C._are_functorch_transforms_active():
        raise TypeError(TRANSFORMED)
    plain = type(x) in (torch.Tensor, torch.nn.Parameter) and not x.is_meta
    if not plain or compiling or torch._C._len_torch_dispatch_stack():  # make_fx, FlopCounterMode
        return forward_op(x, list(weights), others, engine.key, passed, tape)[:-1]
    return _apply((engine, passed_of(passed), tape, len(weights)), x, *weights, *others)
