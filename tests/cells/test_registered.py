"""Every registered cell, and what every one of them must be: a new cell is tested the day it is registered."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pylstm import plugins
from pylstm.cells._hooks import describe
from pylstm.cells.auditing import reference
from pylstm.cells.certification.certify import certify
from pylstm.cells.certification.once import remembered
from pylstm.cells.formula import derive
from pylstm.cells.kernels import load_kernel

with warnings.catch_warnings():
    warnings.simplefilter("ignore", RuntimeWarning)  # a broken plugin of somebody else is not ours to test
    CELLS = [entry.cell for entry in plugins.registry().entries()]


def test_the_bundled_cells_are_there():
    assert {"lstm", "gru", "rnn_tanh"} <= {cell.name for cell in CELLS}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_certified(cell):
    certificate = remembered(cell) or certify(cell)
    assert certificate.ok
    kernel = load_kernel(cell)
    forms = {path.form for path in certificate.paths if path.name.startswith("d ")}
    assert forms == {"twin", *(f"kernel {dtype}" for dtype in (describe(kernel)["dtypes"] if kernel else ()))}
    assert not any("not finite" in note for note in certificate.notes), certificate.notes


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_certified_at_other_sizes(cell):
    assert certify(cell, input_size=3, hidden_size=2).ok


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_a_directional_derivative_of_the_whole_sequence(cell):
    """The oracle's gradient along one random direction of everything, against a central difference."""
    if cell.formulas and any(stage.declared is not stage.forward for stage in derive(cell).stages.values()):
        return  # no difference sees a declared derivative
    random = np.random.default_rng(3)
    contract, (T, B, I, H) = cell.contract, (4, 2, 3, 5)
    needed = {name: 6 for name, default in contract.sizes.items() if default is None}
    widths = contract.resolve(I, H, **needed)

    def draw(*shape):
        return random.uniform(0.3, 0.9, shape) * random.choice([-1, 1], shape)

    def arguments(positive):
        return {
            "params": {name: draw(*shape) for name, shape in contract.parameter_shapes(widths).items()},
            "x": draw(T, B, I),
            "initial": {name: draw(B, widths[name]) for name in contract.states},
            "aux": {name: positive(draw(T, B, widths[name])) for name in contract.aux if name != "x"},
        }

    point, direction = arguments(np.abs), arguments(lambda array: array)
    dy = draw(T, B, widths[contract.output])

    def along(step):
        moved = {
            name: given + step * direction[name]
            if name == "x"
            else {key: array + step * direction[name][key] for key, array in given.items()}
            for name, given in point.items()
        }
        return reference.forward(cell, **moved, sizes=needed)

    grads = reference.backward(along(0), dy=dy)
    inner = (grads.x * direction["x"]).sum()
    for name in ("params", "initial", "aux"):
        inner += sum((gradient * direction[name][key]).sum() for key, gradient in getattr(grads, name).items())
    difference = (((along(1e-5).y - along(-1e-5).y) * dy) / 2e-5).sum()
    assert abs(inner) > 1e-3
    assert inner == pytest.approx(difference, rel=1e-6)
