"""`run.jvp` from the tape of the run: the same as beside the run once more, where the tape does, and where not."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm.layers.runs.beside import Beside, Direction
from pylstm.layers.runs.from_tape import from_tape

spec = importlib.util.spec_from_file_location("test_tangents", Path(__file__).with_name("test_tangents.py"))
tangents = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tangents)
NAMES, SURROGATES, problem = tangents.NAMES, tangents.SURROGATES, tangents.problem
PARTS = {"dx": ("dx",), "dparams": ("dparams",), "dinitial": ("dinitial",), "all": ("dx", "dinitial", "dparams")}


def both_ways(run, given):
    """The tangents of all states and emissions, from the tape and beside the run once more."""
    direction = Direction(run, *(given.get(name) for name in PARTS["all"]))
    found = []
    for names, second in (from_tape(direction), (lambda one: (one.tangents, one.second))(Beside(direction))):
        names, contract = names.of, run.layer.cell.contract
        found.append({name: second.states[names[name]] for name in contract.states})
        found[-1] |= {name: second.emissions[names[name]] for name in contract.emissions}
    return found


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("cell", [name for name in NAMES if name not in SURROGATES] + [tangents.Odd])
def test_of_every_cell(cell, part):
    layer, x, call, direction, _ = problem(cell)
    run, given = layer(x, **call), {name: direction[name] for name in PARTS[part]}
    tape, beside = both_ways(run, given)
    for name, value in beside.items():
        assert np.allclose(tape[name], value, rtol=1e-10, atol=1e-12 * (1 + abs(value).max())), name
    assert part == "dparams" or any(value.any() for value in tape.values())


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_as_the_caller_has_them(first, single):
    options = {"learn_initial": True, "batch_first": first}
    layer, x, _, direction, _ = problem("gru_reset_before", **options)
    turn = (lambda a: a[:, 1]) if single else (lambda a: a.swapaxes(0, 1)) if first else np.asarray
    direction |= {"dx": turn(direction["dx"]), "dinitial": {}}
    reset = turn(np.random.default_rng(0).random((5, 3, 1)) < 0.4)[..., 0]
    run = layer(turn(x), reset=reset)
    tape, beside = both_ways(run, direction)
    for name, value in beside.items():
        assert tape[name].shape == value.shape and np.allclose(tape[name], value, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("B, H", [(32, 24), (1, 96), (3, 160)])
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole", "mingru", "ln_gru"])
def test_the_bits_do_not_depend_on_threads(cell, B, H, same_number_of_threads):
    rng = np.random.default_rng(0)
    layer = pylstm.Recurrent(cell, 40, H, seed=0)
    x, dx = (rng.normal(size=(90, B, 40)).astype("float32") for _ in range(2))
    found = []
    for threads in (1, 2):
        pylstm.set_num_threads(threads)
        run = layer(x)
        found.append([run.jvp(dx).y.tobytes(), run.jvp(dx, dparams=dict(layer.params)).y.tobytes()])
    assert found[0] == found[1]


def test_where_the_tape_does_not_do():
    layer, x, call, direction, _ = problem("lstm")
    run = layer(x, **call)
    assert from_tape(Direction(run, **direction)) is not None
    ragged = layer(x, lengths=[5, 2, 0])
    assert from_tape(Direction(ragged, direction["dx"], None, None)) is None
    for name in SURROGATES:
        layer, x, call, direction, _ = problem(name)
        assert from_tape(Direction(layer(x, **call), direction["dx"], None, None)) is None


@pytest.mark.parametrize("number", range(4))
def test_every_parameter_that_changes_is_seen(number):
    layer, x, call, direction, _ = problem("peephole")
    name = ["weight_x", "weight_h", "bias", list(layer.params)[-1]][number]
    run = layer(x, **call)
    layer.params[name][(-1,) * layer.params[name].ndim] += 1.0
    with pytest.raises(RuntimeError, match="parameters have changed since this run"):
        run.jvp(direction["dx"])


def test_a_run_that_is_gone_back_through_between():
    """Neither pass touches what the other reads."""
    layer, x, call, direction, dy = problem("lstm")
    run = layer(x, **call)
    before, grads = run.jvp(**direction).y.copy(), run.backward(dy).params.flat.copy()
    assert (run.jvp(**direction).y == before).all() and (run.backward(dy).params.flat == grads).all()
    one, two = run.jvp(**direction), run.jvp(2 * direction["dx"])
    assert (one.y == before).all() and not np.shares_memory(one.y, two.y)
