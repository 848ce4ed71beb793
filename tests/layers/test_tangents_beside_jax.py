"""Derivatives along a direction beside those that JAX makes of the same formulas, at 1e-9."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from formulas_beside import outputs_of
from pylstm.plugins import registry

jax = pytest.importorskip("jax")

import jax_formulas  # noqa: E402  (after the skip)

spec = importlib.util.spec_from_file_location("test_tangents", Path(__file__).with_name("test_tangents.py"))
tangents = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tangents)
NAMES = [name for name in registry().names() if name not in tangents.SURROGATES]
NAMES = NAMES if os.environ.get("PYLSTM_NIGHTLY") == "1" else NAMES[::8]  # PyTorch has them all


@pytest.fixture(autouse=True)
def _double():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def close(found, truth):
    return np.abs(found - truth).max() <= 1e-9 * (1 + np.abs(truth).max())


@pytest.mark.parametrize("cell", NAMES)
def test_every_cell(cell):
    layer, x, call, direction, dy = tangents.problem(cell)
    held = {name: np.array(layer.params[name]) for name in layer.params.constants}
    params = {name: np.array(value) for name, value in layer.params.items() if name not in held}
    net = outputs_of(layer, jax_formulas)

    def output(x, initial, params):
        return net(x, initial, params | held, call.get("aux", {}))

    point = x, call["initial"], params
    along = direction["dx"], direction["dinitial"], direction["dparams"]
    y, dydx = jax.jvp(output, point, along)
    run = layer(x, **call)
    assert close(run.y, y)
    assert close(run.jvp(**direction).y, dydx)
    grad = jax.grad(lambda *inputs: (output(*inputs) * dy).sum(), argnums=(0, 1, 2))
    _, (gx, ginitial, gparams) = jax.jvp(grad, point, along)
    found = run.hvp(dy, direction=direction)
    assert close(found.x, gx)
    for name in call["initial"]:
        assert close(found.initial[name], ginitial[name]), name
    for name in params:
        assert close(found.params[name], gparams[name]), name
