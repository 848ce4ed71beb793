"""`pylstm.torch` against ``torch.nn``, to rounding: outputs, states and all gradients."""

import itertools
import random

import pytest

torch = pytest.importorskip("torch")

import pylstm.torch  # noqa: E402  (after the skip)

I, H = 3, 5
CLASSES = ("LSTM", "GRU", "RNN", "RNN relu")
RNG = random.Random(4)
KINDS = ("batch", "packed", "unsorted", "single")
TWO = (False, True)
GRID = list(itertools.product(CLASSES, (1, 2, 3), TWO, TWO, TWO, KINDS, TWO))
GRID = RNG.sample(GRID, 120)


def make(name, module, *, dtype=torch.float64, **options):
    if name == "RNN relu":
        options["nonlinearity"] = "relu"
    return getattr(module, name.split()[0])(I, H, dtype=dtype, **options)


def pair(name, **options):
    """Ours and theirs, from one seed: the same names and values of parameters."""
    made = []
    for module in (pylstm.torch, torch.nn):
        torch.manual_seed(1)
        made.append(make(name, module, **options))
    return made


def close(ours, theirs, tolerance):
    scale = max(theirs.abs().max().item(), 1e-300) if theirs.numel() else 1
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * scale)


def states_of(name, module, batch, dtype=torch.float64):
    """Initial states that require gradients; a tuple for LSTM."""
    n = module.num_layers * (1 + module.bidirectional)
    widths = (module.proj_size or H, H) if name == "LSTM" else (H,)
    states = tuple(torch.randn(n, *batch, width, dtype=dtype, requires_grad=True) for width in widths)
    return states if name == "LSTM" else states[0]


def tensors(value):
    """All tensors of nested tuples, the data of packed sequences."""
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return [value.data]
    return [each for part in value for each in tensors(part)] if isinstance(value, tuple) else [value]


def packed(x, batch_first, ordered):
    lengths = [7, 4, 4, 1] if ordered else [4, 7, 1, 4]
    return torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=ordered)


def compare(ours, theirs, arguments, leaves, tolerance):
    """Results of both modules, and gradients by `leaves` and parameters of random cotangents of all results."""
    results = []
    for module in (ours, theirs):
        out = tensors(module(*arguments))
        torch.manual_seed(7)
        cotangents = [torch.randn_like(each) for each in out]
        grads = torch.autograd.grad(out, [*leaves, *module.parameters()], cotangents, retain_graph=True)
        results.append((out, grads))
    for a, b in zip(results[0][0], results[1][0], strict=True):
        close(a, b, tolerance[0])
    for a, b in zip(results[0][1], results[1][1], strict=True):
        close(a, b, tolerance[1])


@pytest.mark.parametrize(("name", "layers", "both", "batch_first", "bias", "kind", "hx"), GRID)
def test_a_grid_in_float64(name, layers, both, batch_first, bias, kind, hx):
    ours, theirs = pair(name, num_layers=layers, bidirectional=both, batch_first=batch_first, bias=bias)
    assert repr(ours) == repr(theirs)
    shape = (7, I) if kind == "single" else (4, 7, I) if batch_first else (7, 4, I)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    given = packed(x, batch_first, kind == "packed") if "d" in kind and kind != "single" else x
    arguments = (given, states_of(name, ours, () if kind == "single" else (4,))) if hx else (given,)
    compare(ours, theirs, arguments, [x, *(tensors(arguments[1]) if hx else ())], (1e-12, 1e-11))


@pytest.mark.parametrize("name", CLASSES)
def test_float32(name):
    ours, theirs = pair(name, num_layers=2, bidirectional=True, dtype=torch.float32)
    x = torch.randn(9, 4, I, requires_grad=True)
    states = states_of(name, ours, (4,), torch.float32)
    compare(ours, theirs, (x, states), [x, *tensors(states)], (4e-6, 2e-5))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["batch", "unsorted", "single"])
def test_a_projection(both, kind):
    ours, theirs = pair("LSTM", num_layers=2, bidirectional=both, proj_size=2)
    x = torch.randn((7, I) if kind == "single" else (7, 4, I), dtype=torch.float64, requires_grad=True)
    given = packed(x, False, False) if kind == "unsorted" else x
    states = states_of("LSTM", ours, () if kind == "single" else (4,))
    compare(ours, theirs, (given, states), [x, *states], (1e-12, 1e-11))


def test_a_packed_sequence_comes_back_as_it_went_in():
    ours, theirs = pair("GRU")
    given = packed(torch.randn(7, 4, I, dtype=torch.float64), False, False)
    y, z = ours(given)[0], theirs(given)[0]
    for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        assert torch.equal(getattr(y, name), getattr(z, name))


def test_lengths_are_a_packed_sequence_without_the_packing():
    ours, theirs = pair("LSTM", bidirectional=True, batch_first=True)
    x = torch.randn(4, 7, I, dtype=torch.float64)
    x[1, 5:] = torch.nan  # not looked at
    y, (h, c) = ours(x, lengths=[7, 5, 1, 4])
    given = torch.nn.utils.rnn.pack_padded_sequence(x, [7, 5, 1, 4], batch_first=True, enforce_sorted=False)
    packed_y, (h_n, c_n) = theirs(given)
    close(y, torch.nn.utils.rnn.pad_packed_sequence(packed_y, batch_first=True)[0], 1e-12)
    close(h, h_n, 1e-12)
    close(c, c_n, 1e-12)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("shape", [(7, 0), (1, 4)])
def test_no_rows_and_one_step(name, shape):
    ours, theirs = pair(name, num_layers=2)
    x = torch.randn(*shape, I, dtype=torch.float64, requires_grad=True)
    if shape[1]:
        compare(ours, theirs, (x,), [x], (1e-12, 1e-11))
    else:
        assert ours(x)[0].shape == (7, 0, H)


@pytest.mark.parametrize("hx", [True, False])
@pytest.mark.parametrize("name", CLASSES)
def test_gradients_of_gradients(name, hx):
    """Of a penalty on the gradients by x and the weights, by all inputs and weights."""
    found = []
    for module in pair(name, num_layers=2, bidirectional=True, **({"proj_size": 2} if name == "LSTM" and hx else {})):
        torch.manual_seed(5)
        x = torch.randn(7, 4, I, dtype=torch.float64, requires_grad=True)
        states = states_of(name, module, (4,)) if hx else None
        y, last = module(x, states)
        loss = y.square().sum() + sum(each.sin().sum() for each in tensors(last))
        first = torch.autograd.grad(loss, [x, *module.parameters()], create_graph=True)
        penalty = loss + sum(grad.square().sum() for grad in first)
        leaves = [x, *(tensors(states) if hx else ()), *module.parameters()]
        found.append([*first, *torch.autograd.grad(penalty, leaves)])
    for a, b in zip(*found, strict=True):
        close(a, b, 1e-10)


def in_two_parts(module, x):
    y, last = module(x[:3])
    z, last = module(x[3:], last)
    return [y, z, *tensors(last)]


def twice_over(module, x):
    y, last = module(x)
    return [*tensors(last), module(y @ torch.linspace(-1, 1, H * I, dtype=x.dtype).view(H, I), last)[0]]


def states_from_the_input(module, x):
    h = x.mean(0).repeat(1, 2)[None, :, :H]
    return [module(x, (h, 2 * h) if isinstance(module, pylstm.torch.LSTM | torch.nn.LSTM) else h)[0]]


def one_state_for_both(module, x):
    h = x.sum() * torch.linspace(-1, 1, H, dtype=x.dtype).expand(1, x.shape[1], H)
    return [module(x, (h, h) if isinstance(module, pylstm.torch.LSTM | torch.nn.LSTM) else h)[0]]


def weights_tied(module, x):
    module.weight_ih_l0 = torch.nn.Parameter(module.weight_ih_l0[:, :1].detach().repeat(1, I))
    module.bias_hh_l0 = module.bias_ih_l0
    return [module(x)[0]]


@pytest.mark.parametrize("way", [in_two_parts, twice_over, states_from_the_input, one_state_for_both, weights_tied])
@pytest.mark.parametrize("name", CLASSES)
def test_gradients_with_a_graph_of_inputs_that_hang_together(name, way):
    """One input of a call is computed from another, or comes twice: nothing is counted twice."""
    found = []
    for module in pair(name):
        x = torch.linspace(-2, 2, 6 * 4 * I, dtype=torch.float64).sin().view(6, 4, I).requires_grad_()
        loss = sum(each.square().sum() + each.sin().sum() for each in way(module, x))
        leaves = [x, *module.parameters()]
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        found.append([*first, *torch.autograd.grad(sum(grad.square().sum() for grad in first), leaves)])
    for a, b in zip(*found, strict=True):
        close(a, b, 1e-10)


@pytest.mark.parametrize("learned", [True, ["h"]])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_gradients_of_gradients_reach_learned_initial_states(name, learned):
    module = getattr(pylstm.torch, name)(I, 3, 2, bidirectional=True, learn_initial=learned, dtype=torch.float64)
    names, weights = zip(*module.named_parameters())
    for weight in weights:
        torch.nn.init.normal_(weight, 0, 0.5)

    def function(x, *weights):
        y, last = torch.func.functional_call(module, dict(zip(names, weights)), (x,))
        return (y, *tensors(last))

    x = torch.randn(3, 2, I, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(function, (x, *weights))


def test_strided_inputs_and_cotangents_are_taken_as_they_are():
    ours, theirs = pair("LSTM")
    x = torch.randn(I, 4, 7, dtype=torch.float64, requires_grad=True)
    compare(ours, theirs, (x.permute(2, 1, 0),), [x], (1e-12, 1e-11))
    grads = []  # of a cotangent that is one number, expanded
    for module in (ours, theirs):
        grads += torch.autograd.grad(module(x.permute(2, 1, 0))[0].sum(), x)
    close(*grads, 1e-11)


@pytest.mark.parametrize("name", CLASSES)
def test_training_goes_step_for_step_as_with_torch(name):
    """Adam moves both biases, as there; dropout is 0."""
    ours, theirs = pair(name, num_layers=2)
    x, target = torch.randn(6, 4, I, dtype=torch.float64), torch.randn(6, 4, H, dtype=torch.float64)
    losses = []
    for module in (ours, theirs):
        optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
        losses.append([])
        for _ in range(30):
            optimiser.zero_grad()
            loss = (module(x)[0] - target).square().mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 0.1)
            optimiser.step()
            losses[-1].append(loss.item())
    assert losses[0][-1] < 0.95 * losses[0][0]
    assert losses[0] == pytest.approx(losses[1], rel=1e-10)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        close(a, b, 1e-9)


def test_dropout_between_layers_is_drawn_from_torch_and_scaled():
    ours, _ = pair("GRU", num_layers=2, dropout=0.5)
    x = torch.randn(7, 4, I, dtype=torch.float64)
    torch.manual_seed(3)
    first, second = ours(x)[0], ours(x)[0]
    torch.manual_seed(3)
    assert torch.equal(ours(x)[0], first)
    assert not torch.equal(first, second)
    whole, _ = pair("GRU", num_layers=2)
    assert torch.equal(ours.eval()(x)[0], whole(x)[0])
    ours.train().dropout = 1.0
    first_layer = torch.zeros(7, 4, H, dtype=torch.float64)
    alone = torch.nn.GRU(H, H, dtype=torch.float64)
    names = [name for name in whole.state_dict() if name.endswith("_l1")]
    alone.load_state_dict({name[:-1] + "0": whole.state_dict()[name] for name in names})
    with torch.no_grad():
        close(ours(x)[0], alone(first_layer)[0], 1e-12)
