"""Derivatives along a direction beside those that PyTorch makes of the same formulas, at 1e-9."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from formulas_beside import outputs_of
from pylstm.plugins import registry

torch = pytest.importorskip("torch", exc_type=ImportError)

import torch_formulas  # noqa: E402  (after the skip)

spec = importlib.util.spec_from_file_location("test_tangents", Path(__file__).with_name("test_tangents.py"))
tangents = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tangents)
NAMES = [name for name in registry().names() if name not in tangents.SURROGATES]


def tensors(values):
    return {name: torch.tensor(np.array(value)) for name, value in values.items()}


def close(found, truth):
    truth = truth.detach().numpy()
    return np.abs(found - truth).max() <= 1e-9 * (1 + np.abs(truth).max())


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # by PyTorch itself
@pytest.mark.parametrize("cell", NAMES)
def test_every_cell(cell):
    layer, x, call, direction, dy = tangents.problem(cell)
    assert set(map(repr, layer.cell.contract.structure.values())) <= {"blocks(heads)"}  # what formulas_beside knows
    held = {name: layer.params[name] for name in layer.params.constants}
    params = {name: value for name, value in layer.params.items() if name not in held}
    initial = call["initial"]
    aux, fixed, weight = tensors(call.get("aux", {})), tensors(held), torch.tensor(dy)
    net = outputs_of(layer, torch_formulas)

    def output(x, initial, params):
        return net(x, initial, params | fixed, aux)

    point = torch.tensor(x), tensors(initial), tensors(params)
    along = torch.tensor(direction["dx"]), tensors(direction["dinitial"]), tensors(direction["dparams"])
    y, dydx = torch.func.jvp(output, point, along)
    run = layer(x, **call)
    assert close(run.y, y)
    assert close(run.jvp(**direction).y, dydx)
    grad = torch.func.grad(lambda *inputs: (output(*inputs) * weight).sum(), argnums=(0, 1, 2))
    _, (gx, ginitial, gparams) = torch.func.jvp(grad, point, along)
    found = run.hvp(dy, direction=direction)
    assert close(found.x, gx)
    for name in initial:
        assert close(found.initial[name], ginitial[name]), name
    for name in params:
        assert close(found.params[name], gparams[name]), name
