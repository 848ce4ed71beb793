"""`pylstm.torch.Recurrent`: every registered cell and a formula cell by gradcheck; what ``torch.nn`` has not."""

import pytest

torch = pytest.importorskip("torch")

import pylstm  # noqa: E402  (after the skip)
import pylstm.torch  # noqa: E402
from pylstm.cells import derive  # noqa: E402
from pylstm.plugins import registry  # noqa: E402

I, H, T, B = 2, 3, 4, 2
ENTRIES = registry().entries()


class Slow(pylstm.Cell):
    """A formula that nobody has registered."""

    states = ("h",)
    gates = {"k": "x", "a": "x+h"}
    params = ("rate",)

    def forward(z, prev, p):
        share = pylstm.sigmoid(z.k) * pylstm.sigmoid(p.rate)
        return {"h": prev.h + share * (pylstm.tanh(z.a) - prev.h)}


def module_of(cell, **options):
    found = cell.contract
    sizes = {name: 2 for name, default in found.sizes.items() if default not in (1, "hidden_size", "input_size")}
    torch.manual_seed(2)
    return pylstm.torch.Recurrent(cell, I, H, dtype=torch.float64, **sizes, **options)


def inputs_of(module, cell):
    """x, initial states and aux inputs."""
    engine = module._engine
    x = torch.randn(T, B, I, dtype=torch.float64)
    states = [0.5 * torch.rand(1, B, engine.widths[name], dtype=torch.float64) + 0.2 for name in engine.states]
    names = [name for name in cell.contract.aux if name != "x"]
    aux = {name: 0.2 + 0.6 * torch.rand(T, B, engine.widths[name], dtype=torch.float64) for name in names}
    return x, states, aux


@pytest.mark.parametrize("cell", [entry.cell for entry in ENTRIES] + [Slow], ids=lambda cell: cell.name)
def test_gradcheck(cell):
    """Of all results by x, the initial states, the aux inputs, and every parameter."""
    if any(stage.declared is not stage.forward for stage in derive(cell).stages.values()):
        return  # no difference sees a declared derivative
    module = module_of(cell)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    x, states, aux = inputs_of(module, cell)
    names = list(module.state_dict())

    def function(x, *others):
        initial, rest = others[: len(states)], others[len(states) :]
        given, weights = dict(zip(aux, rest)), dict(zip(names, rest[len(aux) :]))
        hx = initial if len(initial) > 1 else initial[0]
        y, final = torch.func.functional_call(module, weights, (x, hx), {"aux": given or None})
        return (y, *(final if isinstance(final, tuple) else (final,)))

    leaves = [x, *states, *aux.values(), *(weight.detach().clone() for weight in module.parameters())]
    assert torch.autograd.gradcheck(function, [leaf.requires_grad_() for leaf in leaves], atol=1e-6)


def test_parameters_have_the_names_of_the_layer():
    module = pylstm.torch.Recurrent("peephole", I, H, num_layers=2, bidirectional=True)
    layer = pylstm.Recurrent("peephole", I, H)
    assert [name for name in module.state_dict() if name.endswith("_l0")] == [f"{name}_l0" for name in layer.params]
    assert "weight_h_l1_reverse" in module.state_dict()


def test_a_cell_by_its_class_with_a_size_and_an_option():
    module = pylstm.torch.Recurrent("cornn", I, H, dt=0.01)
    assert module._description.cell.options["dt"] == 0.01
    scrn = pylstm.torch.Recurrent("scrn", I, H, context_size=4)
    assert scrn(torch.ones(T, B, I))[1][1].shape == (1, B, 4)
    with pytest.raises(TypeError, match="depth"):
        pylstm.torch.Recurrent("cornn", I, H, depth=3)
    assert repr(scrn) == "Recurrent('scrn', 2, 3, context_size=4)"
    cornn = pylstm.torch.Recurrent("cornn", 2, 3, dt=0.01, learn_initial=True)
    assert repr(cornn) == "Recurrent('cornn', 2, 3, dt=0.01, learn_initial=True)"


def as_numpy(tensor):
    return tensor.detach().numpy()


@pytest.mark.parametrize("both", [False, True])
def test_everything_that_comes_with_the_steps_is_that_of_the_layer(both):
    """reset, lengths, zoneout and dropout of states, and learned initial states, with all their gradients."""
    torch.manual_seed(5)
    module = pylstm.torch.LSTM(I, H, 2, bidirectional=both, dtype=torch.float64, learn_initial=True)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0, 0.5)
    count = 4 if both else 2
    x = torch.randn(T, B, I, dtype=torch.float64, requires_grad=True)
    factors = [{"h": torch.rand(T, B, H, dtype=torch.float64, requires_grad=True)} for _ in range(count)]
    shares = [{"c": torch.rand(T, B, 1, dtype=torch.float64, requires_grad=True)} for _ in range(count)]
    reset = torch.tensor([[0, 0], [0, 1], [1, 0], [0, 0]], dtype=torch.bool)
    y, (h, c) = module(x, lengths=[4, 3], reset=reset, pre=factors, blend=shares)
    leaves = [x, *(each["h"] for each in factors), *(each["c"] for each in shares), *module.parameters()]
    dy, dc = torch.randn_like(y), torch.randn_like(c)
    grads = torch.autograd.grad([y, c], leaves, [dy, dc])

    layer = pylstm.LSTM(I, H, 2, bidirectional=both, dtype="float64", learn_initial=True)
    for leaf, weights in zip(layer.recurrents, module.all_weights):
        w_x, w_h, b_x, b_h, h_0, c_0 = map(as_numpy, weights)
        leaf.params.update({"weight_x": w_x, "weight_h": w_h, "bias": b_x + b_h, "initial_h": h_0, "initial_c": c_0})
    pairs = (lambda each: [each[k : k + 2] for k in range(0, count, 2)]) if both else list
    pre, blend = ([{n: as_numpy(v) for n, v in each.items()} for each in what] for what in (factors, shares))
    run = layer(as_numpy(x), lengths=[4, 3], reset=reset.numpy(), pre=pairs(pre), blend=pairs(blend))
    assert (as_numpy(y) == run.y).all()
    assert (as_numpy(h) == run.final["h"]).all()
    expected = run.backward(as_numpy(dy), dfinal={"c": as_numpy(dc)})
    singles = [one for each in expected.layers for one in (each.layers if both else [each])]
    wanted = [expected.x, *(one.pre["h"] for one in singles), *(one.blend["c"] for one in singles)]
    for one in singles:
        own = one.params
        wanted += [own["weight_x"], own["weight_h"], own["bias"], own["bias"], own["initial_h"], own["initial_c"]]
    for grad, want in zip(grads, wanted, strict=True):
        assert grad.abs().max() > 0
        assert (grad.numpy() == want).all()


def test_batch_first_and_single_sequences_with_resets():
    module = pylstm.torch.Recurrent("ct_rnn", I, H, batch_first=True, dtype=torch.float64)
    x, dt = (
        torch.randn(B, T, I, dtype=torch.float64),
        0.1 + torch.rand(B, T, module._engine.widths["dt"], dtype=torch.float64),
    )
    reset = torch.tensor([[0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.bool)
    y, v = module(x, reset=reset, aux={"dt": dt})
    for b in range(B):
        alone, last = module(x[b], reset=reset[b], aux={"dt": dt[b]})
        assert torch.equal(alone, y[b])
        assert torch.equal(last, v[:, b])


def test_states_of_unequal_widths_are_refused_in_a_stack():
    assert pylstm.torch.Recurrent("tgru", I, H)(torch.ones(T, B, I))[1][1].shape == (1, B, I)
    with pytest.raises(ValueError, match=r"'x_prev'.*one module for each layer"):
        pylstm.torch.Recurrent("tgru", I, H, num_layers=2)
