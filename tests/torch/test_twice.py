"""Gradients of gradients of modules that PyTorch has not: cells, what comes with the steps, several layers."""

import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import pylstm.torch  # noqa: E402  (after the skip)
from pylstm.cells import derive  # noqa: E402

spec = importlib.util.spec_from_file_location("test_cells_of_modules", Path(__file__).with_name("test_cells.py"))
cells = sys.modules["test_cells_of_modules"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cells)
I, H, T, B = cells.I, cells.H, cells.T, cells.B


def draw(*shape, grad=True):
    return torch.randn(*shape, dtype=torch.float64).requires_grad_(grad)


def checked(module, x, *others, names=(), fast=False, **given):
    """gradgradcheck of all outputs by x, states and parameters; `names` of the states in `others`."""
    own, weights = zip(*module.named_parameters())

    def function(x, *rest):
        torch.manual_seed(4)  # of the dropout
        hx = rest[: len(names)]
        arguments = {"hx": tuple(hx) if len(hx) > 1 else hx[0]} if hx else {}
        values = dict(zip(own, rest[len(names) :]))
        y, last = torch.func.functional_call(module, values, (x,), {**arguments, **given})
        return (y, *(last if isinstance(last, tuple) else (last,)))

    with torch.no_grad():
        for weight in weights:
            weight.add_(0.2 * torch.randn_like(weight))
    return torch.autograd.gradgradcheck(function, (x, *others, *weights), atol=1e-6, fast_mode=fast)


@pytest.mark.parametrize(
    "cell", [entry.cell for entry in cells.ENTRIES[::7]] + [cells.Slow], ids=lambda cell: cell.name
)
def test_cells(cell):
    """Some: `tests/layers/test_tangents_beside_torch.py` has the derivatives of all."""
    if any(stage.declared is not stage.forward for stage in derive(cell).stages.values()):
        return  # no difference sees a declared derivative
    module = cells.module_of(cell)
    x, states, aux = cells.inputs_of(module, cell)
    states = [each.requires_grad_() for each in states]
    assert checked(module, x.requires_grad_(), *states, names=module._engine.states, fast=True, aux=aux)


CALLS = {
    "lengths": ("gru", {}, {"lengths": [4, 2]}),
    "reset": ("lstm", {}, {"reset": [[False, False], [False, True], [True, False], [False, False]]}),
    "two directions": ("janet", {"bidirectional": True}, {"lengths": [3, 4]}),
    "dropout": ("peephole", {"num_layers": 3, "dropout": 0.4}, {}),
    "learned": ("mingru", {"num_layers": 2, "learn_initial": True, "bidirectional": True}, {}),
    "constants": ("s4d", {"state_size": 2}, {}),
}


@pytest.mark.parametrize("what", CALLS)
def test_what_comes_with_the_steps(what):
    cell, options, given = CALLS[what]
    torch.manual_seed(1)
    module = pylstm.torch.Recurrent(cell, I, H, dtype=torch.float64, **options)
    given = {name: torch.tensor(value) for name, value in given.items()}
    assert checked(module, draw(T, B, I), **given)


def test_orthogonal_matrices():
    class Turned(pylstm.Cell):
        states = ("h",)
        gates = {"a": "x+h"}
        structure = {"h": "orthogonal"}

        def forward(z):
            return {"h": pylstm.tanh(z.a)}

    torch.manual_seed(2)
    assert checked(pylstm.torch.Recurrent(Turned, I, H, dtype=torch.float64), draw(T, B, I))


@pytest.mark.parametrize("cell", ["lstm", "janet"])
def test_packed_sequences(cell):
    module, x = pylstm.torch.Recurrent(cell, I, H, dtype=torch.float64), draw(T, B, I)

    def function(x):
        return module(torch.nn.utils.rnn.pack_padded_sequence(x, [4, 2]))[0].data

    assert torch.autograd.gradgradcheck(function, (x,))


def test_a_penalty_on_the_gradient_trains():
    """As that of a discriminator, or of a potential whose force is the gradient."""
    torch.manual_seed(0)
    module = pylstm.torch.Recurrent("mingru", I, 8)
    head = torch.nn.Linear(8, 1)
    optimiser = torch.optim.Adam([*module.parameters(), *head.parameters()], lr=0.02)
    x, losses = torch.randn(T, 16, I, requires_grad=True), []
    for _ in range(60):
        energy = head(module(x)[0]).sum()
        (force,) = torch.autograd.grad(energy, x, create_graph=True)
        loss = (force - x.detach().flip(2)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("of", ["x", "weight", "states"])
def test_a_third_derivative_is_refused_never_dropped(of):
    module, x, h = pylstm.torch.Recurrent("janet", I, H, dtype=torch.float64), draw(T, B, I), draw(1, B, H)
    leaf = {"x": x, "weight": module.weight_h_l0, "states": h}[of]
    (first,) = torch.autograd.grad(module(x, h)[0].square().sum(), leaf, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), leaf, create_graph=True)
    with pytest.raises(NotImplementedError, match="gradients of gradients of gradients"):
        torch.autograd.grad(second.square().sum(), leaf)


@pytest.mark.parametrize("of", ["x", "aux"])
def test_gradients_of_what_comes_with_the_steps_have_none(of):
    module, x = pylstm.torch.Recurrent("time_aware_lstm", I, H, dtype=torch.float64), draw(T, B, I)
    aux = {"dt": (0.3 + torch.rand(T, B, 1, dtype=torch.float64)).requires_grad_()}
    leaf = x if of == "x" else aux["dt"]
    (grad,) = torch.autograd.grad(module(x, aux=aux)[0].square().sum(), leaf, create_graph=True)
    with pytest.raises(NotImplementedError, match="where aux, pre and blend need none"):
        grad.square().sum().backward()
