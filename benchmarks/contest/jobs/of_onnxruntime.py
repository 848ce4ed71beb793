"""ONNX Runtime in a job, inference only: a graph of table, layer and head, made from the weights of the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..of_onnxruntime import IR, OPSET
from .tasks import GATES, Job

ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "formula": (0, 3, 1, 2)}
"""PyTorch's gates in the order of ONNX."""


def infer(job: Job) -> Callable[[], np.ndarray]:
    """Outputs of the head for the first batch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(_model(job).SerializeToString(), providers=["CPUExecutionProvider"])
    x = job.batch(0)[0]
    return lambda: session.run(["out"], {"x": x})[0]


def _model(job: Job) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    task = job.task
    if task.text:
        first, kind, shape = helper.make_node("Gather", ["embedding", "x"], ["steps"]), TensorProto.INT64, [task.T]
        last, out = helper.make_node("Squeeze", ["every", "axis"], ["y"]), [task.T, task.B, task.K]
        shape += [task.B]
    else:
        first, kind = helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]), TensorProto.FLOAT
        last, out = helper.make_node("Squeeze", ["h", "axis"], ["y"]), [task.B, task.K]
        shape = [task.B, task.T, task.I]
    nodes = [
        first,
        _layer(job),
        last,
        helper.make_node("MatMul", ["y", "head"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "job",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in _weights(job).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _layer(job: Job) -> Any:
    from onnx import helper

    inputs = ["steps", "W", "R", "B"]
    if job.cell == "gru":
        return helper.make_node("GRU", inputs, ["every", "h"], hidden_size=job.task.H, linear_before_reset=1)
    inputs += ["", "", "", "P"] if job.cell == "formula" else []
    return helper.make_node("LSTM", inputs, ["every", "h", ""], hidden_size=job.task.H)


def _weights(job: Job) -> dict[str, np.ndarray]:
    H = job.task.H

    def ordered(array: np.ndarray) -> np.ndarray:
        blocks = array.reshape(GATES[job.cell], H, *array.shape[1:])
        return blocks[list(ORDER[job.cell])].reshape(array.shape)

    second = np.zeros_like(job["b"])
    if job.cell == "gru":
        second[-H:] = job["b_m"]
    weights = {"W": ordered(job["W"])[None], "R": ordered(job["U"])[None]}
    weights["B"] = np.concatenate([ordered(job["b"]), ordered(second)])[None]
    weights |= {"head": job["head_weight"].T, "bias": job["head_bias"]}
    if job.cell == "formula":
        weights["P"] = np.concatenate([job["p_i"], job["p_o"], job["p_f"]])[None]
    weights["axis"] = np.array([int(job.task.text)])  # of directions: of the outputs, or of the last state
    if job.task.text:
        weights["embedding"] = job["embedding"]
    return weights
