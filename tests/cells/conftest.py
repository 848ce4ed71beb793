"""One step of a compiled cell on random blocks, and its check against a formula by complex steps."""

import numpy as np
import pytest

from pylstm.cells._hooks import run_stage
from pylstm.cells.kernels import load_kernel

FORWARD_TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
BACKWARD_TOLERANCE = {"float32": 1e-5, "float64": 1e-11}


class OneStep:
    """All blocks of one step by name. Rows lie apart in memory, as in the loop; what a hook must write is NaN."""

    def __init__(self, cell, *, rows=5, width=37, dtype="float64", seed=0, capsule=None):
        self.cell, self.rows, self.width, self.dtype = cell, rows, width, np.dtype(dtype)
        self.capsule = load_kernel(cell) if capsule is None else capsule
        self.rng = np.random.default_rng(seed)
        contract = cell.contract
        self.gates = {name: self.draw() for name in contract.gates}
        self.z = {name: block.copy() for name, block in self.gates.items()}
        self.prev = {name: self.draw() for name in contract.states}
        self.emissions = {name: self.unwritten() for name in contract.emissions}
        self.keep = {name: self.unwritten() for name in contract.keep}
        self.states = {name: self.unwritten() for name in contract.states}
        self.params = {name: self.rng.normal(size=width).astype(dtype) for name in contract.params}
        self.aux = {name: self.draw() for name in contract.aux}
        self.dstates = {name: self.draw() for name in contract.states}
        self.dgates = {name: self.unwritten() for name in contract.gates}
        self.dprev = {name: self.draw() for name in contract.states}
        self.demissions = {name: self.draw() for name in contract.emissions}
        self.dparams = {name: self.rng.normal(size=width).astype(dtype) for name in contract.params}
        self.daux = {name: self.draw() for name in contract.aux}

    def draw(self):
        block = self.unwritten()
        block[:] = self.rng.normal(size=block.shape)
        return block

    def unwritten(self):
        return np.full((self.rows, self.width + 3), np.nan, self.dtype)[:, 2 : 2 + self.width]

    def blocks(self):
        kinds = ("gates", "prev", "emissions", "keep", "states", "params", "aux")
        kinds += ("dstates", "dgates", "dprev", "demissions", "dparams", "daux")
        return {kind: list(getattr(self, kind).values()) for kind in kinds}

    def forward(self, stage=0):
        run_stage(self.capsule, stage, False, self.blocks())

    def backward(self, stage=0):
        run_stage(self.capsule, stage, True, self.blocks())


def assert_close(actual, expected, tolerance, what):
    """Equal up to `tolerance` of the largest expected element."""
    error = np.max(np.abs(actual - expected)) / np.max(np.abs(expected))
    assert error <= tolerance, f"{what}: relative error {error:.1e}, allowed {tolerance:.0e}"


def check_against(cell, reference, dtype):
    """Compare a one-stage kernel with `reference(z, prev, p)`, which returns the new states and takes complex blocks.

    The reference works unit by unit, so one complex step on a whole block gives its derivative.
    """
    step = OneStep(cell, dtype=dtype)
    before = {kind: {n: a.copy() for n, a in getattr(step, kind).items()} for kind in ("dprev", "dparams")}
    inputs = {
        kind: {name: np.array(block, complex) for name, block in getattr(step, kind).items()}
        for kind in ("z", "prev", "params")
    }
    step.forward()
    for name, expected in reference(*inputs.values()).items():
        assert_close(step.states[name], expected.real, FORWARD_TOLERANCE[dtype], f"state {name}")

    step.backward()
    for kind, result in (("z", step.dgates), ("prev", step.dprev), ("params", step.dparams)):
        for name, block in inputs[kind].items():
            kept = block.copy()
            inputs[kind][name] = block + 1e-30j
            slopes = reference(*inputs.values())
            inputs[kind][name] = kept
            expected = sum(step.dstates[state] * slope.imag / 1e-30 for state, slope in slopes.items())
            if kind == "params":
                expected = expected.sum(axis=0)
            if kind != "z":
                expected = expected + before["d" + kind][name]
            assert_close(result[name], expected, BACKWARD_TOLERANCE[dtype], f"cotangent of {kind} {name}")


@pytest.fixture
def one_step():
    return OneStep


@pytest.fixture
def close():
    return assert_close


@pytest.fixture(params=["float32", "float64"])
def check(request):
    """`check(cell, reference)` in either dtype."""
    return lambda cell, reference: check_against(cell, reference, request.param)
