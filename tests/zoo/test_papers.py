"""Every cell of the zoo against its paper: three steps in float64, and the zoo as a whole."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pylstm_zoo
import pytest

import pylstm
from pylstm import plugins

pytestmark = pytest.mark.once

FOLDER = Path(__file__).parent
STEPS, NO_BIAS = {}, {}
for file in sorted(FOLDER.glob("papers_*.py")):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    STEPS |= {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function) and [*inspect.signature(function).parameters] == ["L", "p", "x", "s", "u"]
    }
    NO_BIAS |= {name: set(gates.split()) for name, gates in module.NO_BIAS.items()}

CELLS = {cell.name: cell for cell in pylstm_zoo.CELLS}
each_cell = pytest.mark.parametrize("name", CELLS)

_NAMES = """
alif antisymmetric_rnn atr augru brc cfc cfn cifg_peephole clockwork_rnn cornn ct_rnn deep_transition_rnn deltanet
dilated_gru ea_lstm fastgrnn fastrnn gated_antisymmetric_rnn gated_deltanet gla goru gru_d gru_ode hgrn hgrn2
hyper_lstm indrnn intersection_rnn janet jordan_rnn leaky_rnn lem lif lightru ligru linoss_im linoss_imex
lipschitz_rnn lmu ln_gru ln_lstm lrcssm lru lstm_1997 lstm_fgr lstm_nfg lstm_niaf lstm_nig lstm_noaf lstm_nog lstmp
lstmp_peephole ltc mamba mc_lstm mgu mgu_after mi_lstm mi_rnn mingru mingru_log minimalrnn minlstm minlstm_log mist
mlstm modrelu_rnn mogrifier_lstm momentum_lstm multiplicative_lstm multiplicative_rnn mut1 mut2 mut3 nas nbrc
nested_lstm neural_hawkes on_lstm paragru paralstm phased_lstm qrnn_f qrnn_fo qrnn_ifo ran reslstm retnet rg_lru rhn2
rhn3 rmsnorm_lstm rwkv4 rwkv7 s4d s5 scrn sgrn slstm snu sru star tau_gru tgru time_aware_lstm tlstm trnn ugrnn
unicornn wmc_lstm
"""
NAMES = _NAMES.split()


def test_the_cells_of_the_zoo():
    assert sorted(CELLS) == NAMES
    assert len(NAMES) == 110
    assert set(NAMES) <= set(plugins.registry().names())
    assert set(STEPS) == set(NAMES)


class Linear:
    """L(gate, source=vector, ...): the layer's linear maps by name, cut from its matrices here."""

    def __init__(self, layer):
        contract = layer.cell.contract
        self.maps, self.bias, self.used = {}, {}, set()
        for source in contract.sources:
            rows = np.cumsum([0] + [layer.widths[gate] for gate in contract.gates_of(source)])
            for gate, first, last in zip(contract.gates_of(source), rows, rows[1:]):
                self.maps[gate, source] = layer.matrix(source)[first:last]
        rows = np.cumsum([0] + [layer.widths[gate] for gate in contract.biased])
        for gate, first, last in zip(contract.biased, rows, rows[1:]):
            self.bias[gate] = layer.params["bias"][first:last]

    def __call__(self, gate, **sources):
        self.used |= {(gate, source) for source in sources}
        return sum(self.maps[gate, source] @ vector for source, vector in sources.items()) + self.bias.get(gate, 0)


def drawn(name, steps=3, rows=2, dtype="float64"):
    """A layer and random inputs: no zeros, I != H, initial states and aux positive where a formula divides."""
    random = np.random.default_rng(len(name))
    cell = CELLS[name]
    sizes = {key: 4 + k for k, key in enumerate(cell.contract.sizes)}
    layer = pylstm.Recurrent(cell, input_size=2, hidden_size=3, dtype=dtype, seed=1, **sizes)
    fixed = {each: layer.params[each].copy() for each in layer.params.constants}
    layer.params.flat[:] = random.uniform(-0.9, 0.9, layer.params.size)
    for each, values in fixed.items():
        layer.params[each][...] = values
    x = random.uniform(-1, 1, (steps, rows, 2)).astype(dtype)
    initial = {
        state: random.uniform(0.2, 0.8, (rows, layer.widths[state])).astype(dtype) for state in cell.contract.states
    }
    shapes = {key: (steps, rows, layer.widths[key]) for key in cell.aux if key != "x"}
    aux = {key: random.uniform(0.2, 1.5, shape).astype(dtype) for key, shape in shapes.items()}
    return layer, x, initial, aux


@each_cell
def test_three_steps_are_those_of_the_paper(name):
    layer, x, initial, aux = drawn(name)
    run = layer(x, initial, aux=aux or None)
    linear, params = Linear(layer), SimpleNamespace(**{each: layer.params[each] for each in layer.cell.contract.params})
    assert set(layer.cell.contract.gates) - set(layer.cell.contract.biased) == NO_BIAS.get(name, set())
    for row in range(2):
        states = SimpleNamespace(**{key: value[row] for key, value in initial.items()})
        for t in range(3):
            u = SimpleNamespace(**{key: value[t, row] for key, value in aux.items()})
            states = SimpleNamespace(**STEPS[name](linear, params, x[t, row], states, u))
            for state in layer.cell.contract.states:
                np.testing.assert_allclose(
                    run.states[state][t + 1, row], getattr(states, state), rtol=0, atol=1e-12, err_msg=state
                )
    assert linear.used == set(linear.maps)


@each_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_few_steps_of_adam(name, dtype):
    layer, x, initial, aux = drawn(name, steps=8, rows=4, dtype=dtype)
    target = 0.3 * np.roll(x.sum(axis=2, keepdims=True), 1, axis=0)
    head = pylstm.Linear(layer.output_size, 1, dtype=dtype, seed=2)
    optimiser = pylstm.Adam([layer.params, head.params], lr=1e-2)
    losses = []
    for _ in range(25):
        run = layer(x, initial, aux=aux or None)
        read = head(run.y)
        loss, dy = pylstm.squared_error(read.y, target)
        losses.append(loss)
        back = read.backward(dy)
        grads = run.backward(back.x)
        assert np.isfinite(grads.params.flat).all()
        optimiser.step([grads.params, back.params])
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]


_WITHOUT = (
    "brc deltanet gated_deltanet gla hgrn hgrn2 indrnn mingru mingru_log minlstm minlstm_log mlstm paragru paralstm "
    "qrnn_f qrnn_fo qrnn_ifo retnet rg_lru rwkv4 s4d sru trnn unicornn"
)


def test_cells_without_a_recurrent_product_have_none():
    assert [name for name in NAMES if CELLS[name].contract.sources == ("x",)] == _WITHOUT.split()


@each_cell
def test_the_docstring_is_one(name):
    cell = CELLS[name]
    assert cell.__doc__ and cell.reference
    assert any(f"({year}" in cell.reference for year in range(1985, 2026))


def test_cells_are_short():
    for family in pylstm_zoo.FAMILIES:
        for node in ast.walk(ast.parse(Path(family.__file__).read_text())):
            if isinstance(node, ast.ClassDef):
                docstring = node.body[0].end_lineno - node.body[0].lineno + 1
                assert node.end_lineno - node.lineno + 1 - docstring <= 40, node.name


def test_the_page_names_every_cell():
    page = (FOLDER.parents[1] / "docs" / "zoo.md").read_text()
    assert page.startswith(f"# The zoo\n\n{len(NAMES)} published cells")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    for name, cell in CELLS.items():
        assert name in rows[cell.__module__.rpartition(".")[2]].split(), name


@each_cell
def test_its_layers_can_be_pickled(name):
    assert pickle.loads(pickle.dumps(CELLS[name])) is CELLS[name]
