"""OpenVINO in the contest, inference only: the one-node ONNX model of `of_onnxruntime`, in float32."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from .of_onnxruntime import model
from .problem import Contestant, Problem

SETTINGS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
"""One call at a time, and no bfloat16, which it takes on its own where the processor has it."""
_threads = 1
_kept: list[Any] = []
"""Every model lives as long as the process: one that is freed before another leaves the thread with a freed stack for
signals (OpenVINO 2026.4), and the next signal ends a process that has Python's faulthandler on, as pytest has."""


def prepare(threads: int) -> None:
    """Run on `threads` threads."""
    global _threads
    _threads = threads


def infer(problem: Problem) -> Contestant:
    """Forward only, all outputs; the input is written once, since to hand it over takes longer than a small model."""
    request = compiled(problem).create_infer_request()
    request.get_input_tensor().data[:] = problem.x

    def call() -> Any:
        request.infer()
        return request.get_output_tensor().data

    return Contestant(call, lambda y: {"y": y[:, 0]})


def compiled(problem: Problem) -> Any:
    """The compiled model."""
    import openvino

    core = openvino.Core()
    source = BytesIO(model(problem, ["Y"]).SerializeToString())
    settings = {**SETTINGS, "INFERENCE_NUM_THREADS": _threads}
    _kept.append(core.compile_model(core.read_model(source), "CPU", settings))
    return _kept[-1]
