"""LSTM, GRU and RNN against torch, through its state dicts; and the state dicts themselves, without torch."""

import numpy as np
import pytest

import pylstm
from pylstm.cells import hard_sigmoid
from pylstm.interop.gate_orders import GATE_ORDERS, PROJECTIONS
from pylstm.interop.torch import load_state_dict, state_dict
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack

CELLS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
T, B, I, H = 9, 4, 3, 5
RNG = np.random.default_rng(11)


def torch_like(cell, bias=True, dtype="float64"):
    """A state dict of random numbers, as torch would give it."""
    rows = CELLS[cell] * H
    shapes = {"weight_ih_l0": (rows, I), "weight_hh_l0": (rows, H)}
    if bias:
        shapes |= {"bias_ih_l0": (rows,), "bias_hh_l0": (rows,)}
    return {key: RNG.normal(size=shape).astype(dtype) for key, shape in shapes.items()}


def torch_layer(torch, cell, bias):
    if cell.startswith("rnn"):
        return torch.nn.RNN(I, H, nonlinearity=cell[4:], bias=bias, dtype=torch.float64)
    return {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](I, H, bias=bias, dtype=torch.float64)


def close(ours, theirs, tolerance):
    theirs = np.asarray(theirs.detach())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def close_parameters(cell, bias, grads, theirs):
    """Gradients as a state dict: torch gives that of a sum of two biases to both of them."""
    layer = Recurrent(cell, I, H, bias=bias, dtype="float64")
    layer.params.update(dict(grads))
    ours = state_dict(layer)
    for key in ("weight_ih_l0", "weight_hh_l0", *(["bias_ih_l0"] if bias else [])):
        close(ours[key], getattr(theirs, key).grad, 1e-11)
    if bias and cell == "gru":
        close(ours["bias_hh_l0"][2 * H :], theirs.bias_hh_l0.grad[2 * H :], 1e-11)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_are_those_of_torch(cell, bias):
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    theirs = torch_layer(torch, cell, bias)
    layer = Recurrent(cell, I, H, bias=bias, dtype="float64", seed=0)
    load_state_dict(layer, theirs.state_dict())

    states = layer.cell.contract.states
    x, dy = RNG.normal(size=(T, B, I)), RNG.normal(size=(T, B, H))
    initial = {name: RNG.normal(size=(B, H)) for name in states}
    dfinal = {name: RNG.normal(size=(B, H)) for name in states}

    def tensor(array):
        return torch.from_numpy(array.copy()).requires_grad_()

    x_t, first = tensor(x), {name: tensor(array)[None] for name, array in initial.items()}
    for each in first.values():
        each.retain_grad()
    y_t, last = theirs(x_t, tuple(first.values()) if len(states) > 1 else first["h"])
    last = dict(zip(states, last if len(states) > 1 else (last,)))
    torch.autograd.backward(
        [y_t, *last.values()], [torch.from_numpy(a) for a in (dy, *(d[None] for d in dfinal.values()))]
    )

    run = layer(x, initial)
    close(run.y, y_t, 1e-12)
    grads = run.backward(dy, dfinal=dfinal)
    close(grads.x, x_t.grad, 1e-11)
    for name in states:
        close(run.final[name], last[name][0], 1e-12)
        close(grads.initial[name], first[name].grad[0], 1e-11)

    close_parameters(cell, bias, grads.params, theirs)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_torch_computes_the_same_from_our_state_dict(cell, bias):
    torch = pytest.importorskip("torch")
    layer = Recurrent(cell, I, H, bias=bias, dtype="float64", seed=4)
    theirs = torch_layer(torch, cell, bias)
    theirs.load_state_dict({key: torch.from_numpy(array) for key, array in state_dict(layer).items()})
    x = RNG.normal(size=(T, B, I))
    close(layer(x).y, theirs(torch.from_numpy(x))[0], 1e-12)


def test_float32_of_torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = torch.nn.GRU(I, H)
    layer = Recurrent("gru", I, H)
    load_state_dict(layer, dict(theirs.named_parameters()))
    x = RNG.normal(size=(T, B, I)).astype("f4")
    close(layer(x).y, theirs(torch.from_numpy(x))[0], 2e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_round_trip(cell, bias):
    layer = Recurrent(cell, I, H, bias=bias, dtype="float64", seed=0)
    state = torch_like(cell, bias)
    load_state_dict(layer, state)
    back = state_dict(layer)
    assert list(back) == list(state)
    for key in ("weight_ih_l0", "weight_hh_l0"):
        np.testing.assert_array_equal(back[key], state[key])
    again = Recurrent(cell, I, H, bias=bias, dtype="float64", seed=1)
    load_state_dict(again, back)
    np.testing.assert_array_equal(again.params.flat, layer.params.flat)
    if bias and cell != "gru":
        np.testing.assert_array_equal(back["bias_ih_l0"], state["bias_ih_l0"] + state["bias_hh_l0"])
        assert not back["bias_hh_l0"].any()


def test_the_two_biases_of_the_gru_candidate_stay_apart():
    layer = Recurrent("gru", I, H, dtype="float64")
    state = torch_like("gru")
    load_state_dict(layer, state)
    back = state_dict(layer)
    np.testing.assert_array_equal(back["bias_ih_l0"][2 * H :], state["bias_ih_l0"][2 * H :])
    np.testing.assert_array_equal(back["bias_hh_l0"][2 * H :], state["bias_hh_l0"][2 * H :])
    np.testing.assert_array_equal(back["bias_ih_l0"][: 2 * H], (state["bias_ih_l0"] + state["bias_hh_l0"])[: 2 * H])
    assert not back["bias_hh_l0"][: 2 * H].any()


def test_a_state_dict_is_a_copy():
    layer = Recurrent("rnn_tanh", I, H, seed=0)
    before = layer.params.flat.copy()
    for array in state_dict(layer).values():
        array[...] = 5
    np.testing.assert_array_equal(layer.params.flat, before)


def changed(**changes):
    state = torch_like("lstm") | changes
    return {key: value for key, value in state.items() if value is not None}


WIDE = np.zeros((4 * H, H))


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (changed(weight_hh_l0=None), ValueError, r"missing keys \['weight_hh_l0'\]"),
        (changed(alpha=WIDE), ValueError, r"unexpected keys \['alpha'\]"),
        (changed(bias_ih_l0=None, bias_hh_l0=None), ValueError, "the layer was made with bias=True"),
        (changed(weight_ih_l1=WIDE), ValueError, "state_dict holds 2 layers, but the layer has num_layers=1"),
        (changed(weight_ih_l0_reverse=WIDE), ValueError, "holds 2 directions, but the layer has bidirectional=False"),
        (changed(weight_hr_l0=WIDE), ValueError, r"make it with LSTM\(..., proj_size=\): \['weight_hr_l0'\]"),
        ({f"rnn.{key}": value for key, value in changed().items()}, ValueError, r"pass prefix='rnn\.'"),
        (changed(weight_ih_l0=WIDE), ValueError, r"'weight_ih_l0'\] must have shape \(20, 3\), got \(20, 5\)"),
        (changed(bias_hh_l0=np.zeros(20, "f4")), TypeError, r"'bias_hh_l0'\] must be float64, got float32"),
    ],
)
def test_state_dicts_that_do_not_fit(state, error, message):
    layer = Recurrent("lstm", I, H, dtype="float64", seed=0)
    before = layer.params.flat.copy()
    with pytest.raises(error, match=message):
        load_state_dict(layer, state)
    np.testing.assert_array_equal(layer.params.flat, before)


def test_bias_for_a_layer_without():
    with pytest.raises(ValueError, match=r"unexpected keys.*the layer was made with bias=False"):
        load_state_dict(Recurrent("lstm", I, H, bias=False, dtype="float64"), torch_like("lstm"))


def test_cells_that_torch_does_not_have():
    layer = Recurrent("gru_reset_before", I, H)
    with pytest.raises(TypeError, match=r"torch has no layer with the cell 'gru_reset_before'.*lstm, lstmp, gru"):
        state_dict(layer)
    with pytest.raises(TypeError, match="no layer with the cell"):
        load_state_dict(layer, {})


def test_the_table_names_gates_that_exist():
    for orders in GATE_ORDERS.values():
        for cell, order in orders.items():
            contract = Recurrent(
                hard_sigmoid.CELLS.get(cell, cell), I, H, **({"proj_size": 2} if cell == "lstmp" else {})
            ).cell.contract
            named = [gate.removeprefix("-") for block in order for gate in block.split("/") if gate]
            named += contract.gates_of(PROJECTIONS[cell]) if cell in PROJECTIONS else ()
            assert sorted(named) == sorted(contract.gates)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_round_trip_of_stacks(cell, both):
    stack = Recurrent(cell, I, H, num_layers=3, bidirectional=both, dtype="float64", seed=0)
    state = state_dict(stack)
    directions = ["", "_reverse"] if both else [""]
    stems = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    assert list(state) == [f"{stem}_l{k}{end}" for k in range(3) for end in directions for stem in stems]
    assert state["weight_ih_l1"].shape == (CELLS[cell] * H, H * len(directions))
    again = Recurrent(cell, I, H, num_layers=3, bidirectional=both, dtype="float64", seed=1)
    load_state_dict(again, state)
    np.testing.assert_array_equal(again.params.flat, stack.params.flat)


def test_stacks_that_torch_does_not_have():
    def make(*layers):
        return Stack([Recurrent(*layer) for layer in layers])

    with pytest.raises(TypeError, match="all layers must have the same cell for torch, got 'lstm' and 'gru'"):
        state_dict(make(("lstm", I, H), ("gru", H, H)))
    with pytest.raises(ValueError, match="must have the same hidden size and bias"):
        state_dict(make(("lstm", I, H), ("lstm", H, 7)))
    with pytest.raises(ValueError, match="all layers must have two directions, or none"):
        state_dict(Stack([Recurrent("gru", I, H), Bidirectional(Recurrent("gru", H, H), Recurrent("gru", H, H))]))
    with pytest.raises(TypeError, match="layer must be a Recurrent, Stack or Bidirectional, got int"):
        state_dict(3)


def test_state_dicts_of_other_stacks():
    stack = Recurrent("lstm", I, H, num_layers=2, dtype="float64")
    three = state_dict(Recurrent("lstm", I, H, num_layers=3, dtype="float64"))
    with pytest.raises(ValueError, match="state_dict holds 3 layers, but the layer has num_layers=2"):
        load_state_dict(stack, three)
    with pytest.raises(ValueError, match="holds 1 direction, but the layer has bidirectional=True"):
        load_state_dict(Recurrent("lstm", I, H, num_layers=3, bidirectional=True, dtype="float64"), three)
    before, two = stack.params.flat.copy(), state_dict(stack)
    with pytest.raises(ValueError, match=r"'bias_hh_l1'\] must have shape \(20,\), got \(4,\)"):
        load_state_dict(stack, {key: array + 1 for key, array in two.items()} | {"bias_hh_l1": np.ones(4)})
    np.testing.assert_array_equal(stack.params.flat, before)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "cell"), [("LSTMCell", "lstm"), ("GRUCell", "gru"), ("RNNCell", "rnn_tanh")])
def test_cells_and_modules(kind, cell, bias):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(3, 4, bias=bias).double()
    x, h = np.random.default_rng(0).normal(size=(5, 2, 3)), None
    for x_t in torch.from_numpy(x):
        h = theirs(x_t, h)
    expected = (h[0] if cell == "lstm" else h).detach().numpy()
    for source in (theirs, theirs.state_dict(), {k: v.numpy() for k, v in theirs.state_dict().items()}):
        layer = Recurrent(cell, 3, 4, bias=bias, dtype="float64", seed=1)
        load_state_dict(layer, source)
        np.testing.assert_allclose(layer(x).final["h"], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 2}])
def test_a_module_in_place_of_its_state_dict(options):
    torch = pytest.importorskip("torch")

    theirs, layer = torch.nn.LSTM(3, 4, **options).double(), pylstm.LSTM(3, 4, dtype="float64", **options)
    load_state_dict(layer, theirs)
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    np.testing.assert_allclose(layer(x).y, theirs(torch.from_numpy(x))[0].detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("theirs", "said"), [("GRU", "a GRU"), ("RNN", "a plain RNN"), ("GRUCell", "a GRU")])
def test_weights_of_another_kind_of_layer_are_named(theirs, said):
    torch = pytest.importorskip("torch")
    layer = Recurrent("lstm", 3, 4)
    with pytest.raises(ValueError, match=f"state_dict is of {said} .*, but the layer is an LSTM"):
        load_state_dict(layer, getattr(torch.nn, theirs)(3, 4))


def test_what_is_neither_a_state_dict_nor_a_module():
    with pytest.raises(TypeError, match="a module or the path of a safetensors file, got list"):
        load_state_dict(Recurrent("lstm", 3, 4), [1])


@pytest.mark.parametrize("kind", ["RNN", "RNNCell"])
@pytest.mark.parametrize(("theirs", "ours"), [("relu", "tanh"), ("tanh", "relu")])
@pytest.mark.parametrize("prefix", ["", "a.rnn."])
def test_a_module_with_another_nonlinearity(kind, theirs, ours, prefix):
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, kind)(I, H, nonlinearity=theirs)
    if prefix:
        module = torch.nn.ModuleDict({"a": torch.nn.ModuleDict({"rnn": module})})
    layer = Recurrent(f"rnn_{ours}", I, H, seed=0)
    before = layer.params.flat.copy()
    with pytest.raises(ValueError, match=f"nonlinearity='{theirs}'.*the cell 'rnn_{ours}'.*'rnn_{theirs}'"):
        load_state_dict(layer, module, prefix=prefix)
    np.testing.assert_array_equal(layer.params.flat, before)
    load_state_dict(Recurrent(f"rnn_{theirs}", I, H), module, prefix=prefix)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("key", ["weight_ih_l0", "bias_hh_l0"])
@pytest.mark.filterwarnings("ignore:state_dict. 4 arrays converted:UserWarning")
def test_weights_that_are_not_finite(key, number, dtype):
    layer, state = Recurrent("lstm", I, H, seed=0), torch_like("lstm", dtype=dtype)
    state[key][3] = number
    before = layer.params.flat.copy()
    with pytest.raises(ValueError, match=rf"state_dict\['{key}'\] must be finite, holds {number}.*allow_nonfinite"):
        load_state_dict(layer, state)
    np.testing.assert_array_equal(layer.params.flat, before)
    load_state_dict(layer, state, allow_nonfinite=True)
    assert not np.isfinite(layer.params.flat).all()


@pytest.mark.parametrize("shape", [(0, B, I), (T, 0, I)])
def test_a_check_of_nothing(shape):
    layer = Recurrent("lstm", I, H, dtype="float64", seed=0)
    before = layer.params.flat.copy()
    with pytest.raises(ValueError, match="check: x must have at least one step and one row, got shape"):
        load_state_dict(layer, torch_like("lstm"), check=(np.zeros(shape), np.zeros((*shape[:2], H))))
    np.testing.assert_array_equal(layer.params.flat, before)


def test_what_else_a_dict_may_be():
    layer, state = Recurrent("lstm", I, H, dtype="float64"), torch_like("lstm")
    with pytest.raises(ValueError, match=r"pass prefix='enc\.'"):
        load_state_dict(layer, {f"enc.{key}": value for key, value in state.items()}, prefix="enc")
    with pytest.raises(ValueError, match=r"a dict under 'state_dict': pass that one, checkpoint\['state_dict'\]"):
        load_state_dict(layer, {"state_dict": state, "epoch": 3})
    with pytest.raises(ValueError, match="no weights of a recurrent layer, such as 'weight_ih_l0', but nothing"):
        load_state_dict(layer, {})
    with pytest.raises(ValueError, match=r"no weights of a recurrent layer.* but only weight, bias"):
        load_state_dict(layer, {"weight": np.ones((2, 3)), "bias": np.ones(2)})
