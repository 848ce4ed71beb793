"""The expression machine: every operation against NumPy, the same bits anywhere in a block; wrong code."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from pylstm.cells import _hooks, functions
from pylstm.cells import row_functions as across
from pylstm.engine import levels

pytestmark = pytest.mark.once

LEVELS = levels.LEVELS[: levels.LEVELS.index(levels.level) + 1]
MACHINES = {level: importlib.import_module(f"pylstm.engine.machine_{level}") for level in LEVELS}
every_level = pytest.mark.parametrize("level", LEVELS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def one(condition):
    return np.asarray(condition, float)


def dsigmoid(y):
    return y * (1 - y)


def dtanh(y):
    return 1 - y * y


EXPECTED = {
    **{name: getattr(functions, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "sigmoid", "tanh")},
    **{name: getattr(functions, name) for name in ("softplus", "sin", "cos")},
    "relu": lambda a: np.where(a <= 0, 0, a),
    "power": np.power,
    "copy": lambda a: a,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "dabs_from_x": np.sign,
    "max": np.maximum,
    "min": np.minimum,
    "dsigmoid_from_y": dsigmoid,
    "dtanh_from_y": dtanh,
    "drelu_from_y": lambda y: one(y > 0),
    "lt": lambda a, b: one(a < b),
    "le": lambda a, b: one(a <= b),
    "gt": lambda a, b: one(a > b),
    "ge": lambda a, b: one(a >= b),
    "eq": lambda a, b: one(a == b),
    "ne": lambda a, b: one(a != b),
    "and": lambda a, b: one((a != 0) & (b != 0)),
    "or": lambda a, b: one((a != 0) | (b != 0)),
    "not": lambda a: one(a == 0),
    "where": lambda a, b, c: np.where(a != 0, b, c),
    "mul_add": lambda a, b, c: a * b + c,
    "mul_sub": lambda a, b, c: a * b - c,
    "sub_mul": lambda a, b, c: c - a * b,
    "mul_add_mul": lambda a, b, c, e: a * b + c * e,
    "mul_sub_mul": lambda a, b, c, e: a * b - c * e,
    "mix": lambda a, b, c: a * b + (1 - a) * c,
    "mul_complement": lambda a, b: a * (1 - b),
    "mul_mul": lambda a, b, c: a * b * c,
    "mul_dsigmoid": lambda a, b: a * dsigmoid(b),
    "mul_dtanh": lambda a, b: a * dtanh(b),
    "mul_mul_dsigmoid": lambda a, b, c: a * b * dsigmoid(c),
    "mul_mul_dtanh": lambda a, b, c: a * b * dtanh(c),
    "mul_mul_dtanh_add": lambda a, b, c, e: a * b * dtanh(c) + e,
    "mul_diff": lambda a, b, c: a * (b - c),
    "mul_diff_dsigmoid": lambda a, b, c, e: a * (b - c) * dsigmoid(e),
}
POSITIVE = ("log", "log1p", "sqrt", "div", "power")


ACROSS = {
    "sums": (lambda x: across.row_sum(x, 3), 3, 1),
    "row_max": (lambda x: across.row_max(x, 3), 3, 1),
    "logsumexp": (lambda x: across.logsumexp(x, 3), 3, 1),
    "softmax": (lambda x: across.softmax(x, 3), 1, 3),
    "cumsum": (lambda x: across.cumsum(x, 3), 1, 3),
    "rcumsum": (lambda x: across.cumsum(x, 3, reverse=True), 1, 3),
    "repeat": (lambda x: across.repeat(x, 4 * x.shape[1]), -4, 1),
    "tile": (lambda x: across.tile(x, 4 * x.shape[1], 3), -4, 3),
    "fold": (lambda x: across.fold(x, x.shape[1] // 5, 3), -5, 3),
}
"""Operation of whole rows -> what it is, the width of its result (negative: times or parts), its groups."""


def whole_row(machine, name, x, to, groups):
    """One instruction on whole rows x, to rows of `to` units."""
    slots = [("wide block", machine.KINDS.index("gates"), 0), ("wide block", machine.KINDS.index("emissions"), 0)]
    code = [(name, False, 1, [0], groups)]
    program = dict(slots=slots, registers=0, constants=[], code=code, phases=[(0, 1, -1)], widths=[x.shape[1], to])
    counts = dict.fromkeys(("keep", "params", "aux"), 0) | {"gates": 1, "emissions": 1, "states": 1}
    result, state = strided(np.full((len(x), to), np.nan, x.dtype)), np.zeros((len(x), 1), x.dtype)
    capsule = machine.build("one", counts, [(program, program)])
    _hooks.run_stage(capsule, 0, False, dict(gates=[x], emissions=[result], prev=[state], states=[state.copy()]))
    return result


@every_level
@every_dtype
@pytest.mark.parametrize("width", [15, 45, 1200])
@pytest.mark.parametrize("name", ACROSS)
def test_whole_rows(name, width, level, dtype):
    """As NumPy's, and a row alone has the same bits."""
    expected, to, groups = ACROSS[name]
    to = {3: 3, 1: width, -4: 4 * width, -5: width // 5}[to]
    x = strided(np.random.default_rng(0).normal(size=(7, width)).astype(dtype) * 3)
    got = whole_row(MACHINES[level], name, x, to, groups)
    wanted = expected(x.astype("float64"))
    scale = np.abs(wanted).max() + np.abs(x).sum(axis=1).max() * (name in ("sums", "cumsum", "rcumsum", "fold"))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=scale * np.finfo(dtype).eps * 8)
    np.testing.assert_array_equal(whole_row(MACHINES[level], name, x[3:4], to, groups)[0], got[3])


PAIRS = {
    "row_dot": (lambda a, b: across.row_sum(a * b, 3), 36, 36, 3, 3),
    "matvec": (lambda a, b: across.contract(a, b, 3), 36 * 5, 15, 36, 3),
    "vecmat": (lambda a, b: across.contract(a, b, 3), 36, 36 * 5, 15, 3),
    "outer": (lambda a, b: across.outer(a, b, 3), 36, 15, 36 * 5, 3),
}
"""Operation of two whole rows -> what it is, the widths of its operands and its result, its groups."""


@every_level
@every_dtype
@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_whole_rows(name, level, dtype):
    """As NumPy's, and the bits of a product that is made first: a row alone, too."""
    machine, (expected, *widths, groups) = MACHINES[level], PAIRS[name]
    rng = np.random.default_rng(0)
    a, b = (strided(rng.normal(size=(7, width)).astype(dtype)) for width in widths[:2])

    def run(a, b):
        kinds = [machine.KINDS.index(kind) for kind in ("gates", "gates", "emissions")]
        slots = [("wide block", kind, k % 2) for k, kind in enumerate(kinds)]
        code = [(name, False, 2, [0, 1], groups)]
        program = dict(slots=slots, registers=0, constants=[], code=code, phases=[(0, 1, -1)], widths=widths)
        counts = dict.fromkeys(("keep", "params", "aux"), 0) | {"gates": 2, "emissions": 1, "states": 1}
        result, state = strided(np.full((len(a), widths[2]), np.nan, dtype)), np.zeros((len(a), 1), dtype)
        capsule = machine.build("one", counts, [(program, program)])
        _hooks.run_stage(capsule, 0, False, dict(gates=[a, b], emissions=[result], prev=[state], states=[state.copy()]))
        return result

    got, wanted = run(a, b), expected(a.astype("float64"), b.astype("float64"))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=100 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(run(a[3:4], b[3:4])[0], got[3])
    if name == "row_dot":
        np.testing.assert_array_equal(got, whole_row(machine, "sums", a * b, 3, 1))


def test_whole_rows_longer_than_a_piece_and_more_than_the_stack_holds():
    """An element-wise instruction takes pieces; registers beyond 32 KiB are allocated."""
    width, machine = 5003, MACHINES[LEVELS[-1]]
    slots = [("wide block", machine.KINDS.index("gates"), 0), ("constant", 0, 0), ("wide register", 0, 0)]
    slots += [("wide register", 1, 0), ("wide block", machine.KINDS.index("emissions"), 0)]
    code = [("mul", False, 2, [0, 1], 1), ("cumsum", False, 3, [2], 1), ("add", False, 4, [3, 0], 1)]
    widths = [width, 0, width, width, width]
    program = dict(slots=slots, registers=2, constants=[2.0], code=code, phases=[(0, 3, -1)], widths=widths)
    counts = dict.fromkeys(("keep", "params", "aux"), 0) | {"gates": 1, "emissions": 1, "states": 1}
    x = strided(np.random.default_rng(0).normal(size=(3, width)))
    result, state = np.empty((3, width)), np.zeros((3, 1))
    capsule = machine.build("one", counts, [(program, program)])
    _hooks.run_stage(capsule, 0, False, dict(gates=[x], emissions=[result], prev=[state], states=[state.copy()]))
    np.testing.assert_allclose(result, np.cumsum(2 * x, axis=1) + x, atol=1e-11)


def test_every_operation_has_an_expectation():
    assert set(EXPECTED) | set(ACROSS) | set(PAIRS) | {"fill", "row_sum"} == set(MACHINES["v1"].opcodes())


def run_one(machine, name, adds, operands, result, target=None):
    """One instruction on blocks `operands` (a number: a constant) into `result`, a block like them, by a row hook."""
    blocks = [each for each in operands if isinstance(each, np.ndarray)]
    slots, constants, numbers = [], [], []
    for each in operands:
        numbers.append(len(slots))
        if isinstance(each, np.ndarray):
            narrow = each.shape[1] == 1 and result.shape[1] != 1
            slots.append(
                ("narrow block" if narrow else "wide block", machine.KINDS.index("gates"), len(slots) - len(constants))
            )
        else:
            slots.append(("constant", len(constants), 0))
            constants.append(each)
    if target is None:
        target = len(slots)
        space = "narrow block" if name == "row_sum" else "wide block"
        slots.append((space, machine.KINDS.index("emissions"), 0))
    wide = numbers[0] if name == "row_sum" else target
    code = [(name, adds, target, numbers)]
    program = dict(slots=slots, registers=0, constants=constants, code=code, phases=[(0, 1, wide)])
    counts = dict.fromkeys(("keep", "params", "aux"), 0) | {"gates": len(blocks), "emissions": 1, "states": 1}
    capsule = machine.build("one", counts, [(program, program)])
    state = [np.zeros_like(result)]
    _hooks.run_stage(capsule, 0, False, dict(gates=blocks, emissions=[result], prev=state, states=[state[0].copy()]))


def strided(array):
    """`array` in memory whose rows lie apart."""
    padded = np.full((array.shape[0], array.shape[1] + 3), np.nan, array.dtype)
    padded[:, 2:-1] = array
    return padded[:, 2:-1]


def draw(name, n, shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    low = 0.3 if name in POSITIVE else -0.9
    return [rng.uniform(low, 0.9, shape).astype(dtype) for _ in range(n)]


def assert_near(got, expected, dtype, ulps=8):
    """Within `ulps` units of the larger of 1 and the expected number."""
    unit = np.finfo(dtype).eps * np.maximum(1, np.abs(expected))
    np.testing.assert_array_less(np.abs(got - expected), ulps * unit + np.finfo(dtype).tiny)


@every_level
@every_dtype
@pytest.mark.parametrize("name", EXPECTED)
def test_operation_against_numpy(name, dtype, level):
    machine = MACHINES[level]
    n, written, added = machine.opcodes()[name]
    assert written
    for rows, width in ((1, 1), (3, 8), (5, 37), (70, 45), (2, 2100)):
        operands = draw(name, n, (rows, width), dtype)
        expected = EXPECTED[name](*(each.astype(float) for each in operands))
        for adds in (False, True)[: 1 + added]:
            for form in (np.copy, strided):
                result = form(np.full((rows, width), 0.5 if adds else np.nan, dtype))
                run_one(machine, name, adds, [form(each) for each in operands], result)
                assert_near(result, expected + 0.5 * adds, dtype)


@every_level
@every_dtype
@pytest.mark.parametrize("name", EXPECTED)
def test_an_element_has_the_same_bits_anywhere(name, dtype, level):
    """In one long row, in short rows that are apart, and when the result replaces an operand."""
    machine = MACHINES[level]
    n, _, _ = machine.opcodes()[name]
    operands = draw(name, n, (9, 45), dtype)
    whole = np.full((9, 45), np.nan, dtype)
    run_one(machine, name, False, operands, whole)
    for width in (1, 2, 7, 16, 31):
        apart = strided(np.full((9, width), np.nan, dtype))
        run_one(machine, name, False, [strided(each[:, :width]) for each in operands], apart)
        assert np.array_equal(apart, whole[:, :width])
    for at in range(n):
        blocks = [each.copy() for each in operands]
        run_one(machine, name, False, blocks, whole.copy(), target=at)
        assert np.array_equal(blocks[at], whole)


@every_dtype
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "where", "mul_add", "mul_add_mul"])
def test_constants(name, dtype):
    machine = MACHINES[levels.level]
    n, _, _ = machine.opcodes()[name]
    for at in range(n):
        for rows, width in ((1, 5), (30, 7), (2, 1500)):
            operands = draw(name, n, (rows, width), dtype)
            operands[at] = 0.375
            for form in (np.copy, strided):
                result = form(np.full((rows, width), np.nan, dtype))
                run_one(machine, name, False, [form(a) if a is not operands[at] else a for a in operands], result)
                assert_near(result, EXPECTED[name](*operands), dtype)


@every_level
@every_dtype
def test_special_values(dtype, level):
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.5], dtype)
    a, b = (each.reshape(8, 8).copy() for each in np.meshgrid(special, special))
    names = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "max", "min", "add", "sub", "mul", "div", "where")
    for name in (*names, "neg", "abs", "not", "relu", "dabs_from_x", "drelu_from_y", "exp", "tanh", "sigmoid", "log1p"):
        n, _, _ = MACHINES[level].opcodes()[name]
        operands, result = [a, b, b[::-1].copy()][:n], np.full((8, 8), 7, dtype)
        with np.errstate(all="ignore"):
            run_one(MACHINES[level], name, False, operands, result)
            expected = EXPECTED[name](*operands)
        numbers = ~np.isnan(a) if name == "drelu_from_y" else np.full(a.shape, True)
        tolerance = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(result[numbers], expected[numbers], rtol=tolerance, err_msg=name)


@every_level
@every_dtype
def test_between_the_widths(dtype, level):
    for rows, width in ((1, 1), (3, 5), (40, 37), (2, 3000)):
        (wide,), (narrow,) = draw("", 1, (rows, width), dtype), draw("", 1, (rows, 1), dtype)
        result = strided(np.full((rows, width), np.nan, dtype))
        run_one(MACHINES[level], "fill", False, [strided(narrow)], result)
        np.testing.assert_array_equal(result, np.broadcast_to(narrow, wide.shape))
        total = np.full((rows, 1), 0.5, dtype)
        run_one(MACHINES[level], "row_sum", True, [strided(wide)], total)
        expected = wide.astype(float).sum(axis=1, keepdims=True) + 0.5
        assert_near(total, expected, dtype, 8 + width / 8)
        alone = np.full((1, 1), 0.5, dtype)
        run_one(MACHINES[level], "row_sum", True, [wide[-1:].copy()], alone)
        assert alone[0, 0] == total[-1, 0]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (("add", False, 0, [0]), "no operation 'add' of 1 operands that writes"),
        (("exp", True, 0, [0]), "no operation 'exp' of 1 operands that adds"),
        (("cosh", False, 0, [0]), "no operation 'cosh'"),
        (("copy", False, 1, [0]), "slot 1"),
        (("copy", False, 0, [-1]), "slot -1"),
    ],
)
def test_wrong_code_is_refused(code, message):
    machine = MACHINES["v1"]
    program = dict(slots=[("wide block", 1, 0)], registers=0, constants=[], code=[code], phases=[(0, 1, 0)])
    counts = dict.fromkeys(("gates", "emissions", "keep", "params", "aux"), 0) | {"states": 1}
    with pytest.raises(ValueError, match=message):
        machine.build("wrong", counts, [(program, program)])
