"""ONNX Runtime in the contest: a model of one LSTM, GRU or RNN node, made from pylstm's weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from .problem import Contestant, Problem

OPSET, IR = 14, 8
_threads = 1


def prepare(threads: int) -> None:
    """Run on `threads` threads."""
    global _threads
    _threads = threads


def infer(problem: Problem) -> Contestant:
    """Forward only, all outputs."""
    session, x = _session(problem, ["Y"]), problem.x
    return Contestant(lambda: session.run(["Y"], {"X": x})[0], lambda y: {"y": y[:, 0]})


feed = infer
"""A session keeps no state; the time of a chunk is that of a sequence."""


def step(problem: Problem) -> Contestant:
    """One step, the states fed back."""
    names = ["Y_h", "Y_c"]
    session, steps = _session(problem, names), problem.steps
    x, zeros = steps[:1], np.zeros((1, problem.B, problem.H), problem.dtype)
    h, c = zeros, zeros

    def call() -> None:
        nonlocal h, c
        h, c = session.run(names, {"X": x, "initial_h": h, "initial_c": c})

    def results(_: Any) -> dict[str, np.ndarray]:
        outputs, now = [], [zeros, zeros]
        for x_t in steps:
            now = session.run(names, {"X": x_t[None], "initial_h": now[0], "initial_c": now[1]})
            outputs.append(now[0][0])
        return {"y": np.stack(outputs)}

    return Contestant(call, results)


def model(problem: Problem, outputs: list[str]) -> Any:
    """The ONNX model with `outputs` of the node; one that gives final states takes initial states, too."""
    from onnx import TensorProto, helper, numpy_helper

    size = f"in T={problem.T} B={problem.B}"
    stepped = "Y" not in outputs
    states = ["initial_h", "initial_c"] if stepped else []
    operator = problem.cell.removesuffix("_tanh").upper()
    extra = {"linear_before_reset": 1} if operator == "GRU" else {}
    slots = {"LSTM": ["Y", "Y_h", "Y_c"]}.get(operator, ["Y", "Y_h"])
    node = helper.make_node(
        operator,
        ["X", "W", "R", "B", *([""] if states else []), *states],
        [name if name in outputs else "" for name in slots],
        hidden_size=problem.H,
        **extra,
    )
    steps, rows, units = 1 if stepped else problem.T, problem.B, problem.H

    def value(name: str, shape: list[int]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [node],
        size,
        [value("X", [steps, rows, problem.I]), *(value(name, [1, rows, units]) for name in states)],
        [value(name, [steps, 1, rows, units] if name == "Y" else [1, rows, units]) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in _weights(problem).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _session(problem: Problem, outputs: list[str]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    made = model(problem, outputs).SerializeToString()
    return onnxruntime.InferenceSession(made, options, providers=["CPUExecutionProvider"])


def _weights(problem: Problem) -> dict[str, np.ndarray]:
    """W, R and B with a leading axis of one direction, from torch's order of the gates to that of ONNX."""
    from pylstm.interop.gate_orders import GATE_ORDERS

    theirs, wanted = GATE_ORDERS["torch"][problem.cell], GATE_ORDERS["onnx"][problem.cell]
    order = [theirs.index(gate) for gate in wanted]

    def reordered(key: str) -> np.ndarray:
        array = problem.weights[f"{key}_l0"]
        return array.reshape(len(order), problem.H, *array.shape[1:])[order].reshape(array.shape)

    biases = np.concatenate([reordered("bias_ih"), reordered("bias_hh")])
    return {"W": reordered("weight_ih")[None], "R": reordered("weight_hh")[None], "B": biases[None]}
