"""The modules as modules: state dicts, copies, pickles, hooks, conversions, memory, and what they refuse."""

import copy
import io
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import pylstm.torch  # noqa: E402  (after the skip)
from pylstm.interop.torch import state_dict  # noqa: E402
from pylstm.layers.runs.composite import CompositeRun  # noqa: E402
from pylstm.torch import spinning  # noqa: E402

I, H, T, B = 3, 5, 7, 4
MAKERS = {
    "LSTM": lambda module: module.LSTM(I, H, 2, bidirectional=True, proj_size=2),
    "GRU": lambda module: module.GRU(I, H, 2, bias=False),
    "RNN": lambda module: module.RNN(I, H, nonlinearity="relu"),
}


def x_of(dtype=torch.float32, **options):
    return torch.randn(T, B, I, dtype=dtype, **options)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", MAKERS)
def test_state_dicts_go_both_ways(name):
    ours, theirs = MAKERS[name](pylstm.torch), MAKERS[name](torch.nn)
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, v.shape) for k, v in theirs.state_dict().items()
    ]
    x = x_of()
    for source, target in ((ours, theirs), (theirs, ours)):
        with torch.no_grad():
            for weight in source.parameters():
                weight.uniform_(-0.5, 0.5)
        target.load_state_dict(source.state_dict())
        torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=0, atol=1e-6)


def test_signatures_are_those_of_torch():
    """By position, as scripts call them."""
    lstm = pylstm.torch.LSTM(I, H, 2, False, True, 0.25, True, 2, "cpu", torch.float64)
    assert repr(lstm) == repr(torch.nn.LSTM(I, H, 2, False, True, 0.25, True, 2, "cpu", torch.float64))
    rnn = pylstm.torch.RNN(I, H, 2, "relu", False, True, 0.25, True, device="cpu", dtype=torch.float64)
    theirs = torch.nn.RNN(I, H, 2, "relu", False, True, 0.25, True, device="cpu", dtype=torch.float64)
    for name in (
        "mode",
        "nonlinearity",
        "num_layers",
        "batch_first",
        "bias",
        "dropout",
        "bidirectional",
        "hidden_size",
    ):
        assert getattr(rnn, name) == getattr(theirs, name)
    assert [len(each) for each in rnn.all_weights] == [len(each) for each in theirs.all_weights]
    assert rnn._all_weights == theirs._all_weights
    assert rnn.flatten_parameters() is None


@pytest.mark.parametrize("name", MAKERS)
def test_copies_and_pickles_compute_the_same(name):
    module, x = MAKERS[name](pylstm.torch), x_of()
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), torch.load(file, weights_only=False)):
        assert torch.equal(other(x)[0], module(x)[0])
        with torch.no_grad():
            next(other.parameters()).add_(1)
        assert not torch.equal(other(x)[0], module(x)[0])


@pytest.mark.parametrize("make", [*MAKERS.values(), lambda module: module.Recurrent("cornn", I, H, dt=0.02)])
def test_a_whole_module_is_read_with_weights_only(make):
    """As PyTorch's examples save and load models, with its default of ``torch.load``."""
    module, x, file = make(pylstm.torch), x_of(), io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    read = torch.load(file, weights_only=True)
    assert torch.equal(read(x)[0], module(x)[0])
    assert repr(read) == repr(module)


def test_a_pickle_is_read_in_another_process(tmp_path):
    module, x = pylstm.torch.Recurrent("cornn", I, H, dt=0.02), x_of()
    torch.save((module, x, module(x)[0].detach()), tmp_path / "module.pt")
    code = (
        "import sys, torch; module, x, y = torch.load(sys.argv[1], weights_only=False)\n"
        "assert torch.equal(module(x)[0], y)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "module.pt")], check=True, cwd=tmp_path)


def test_conversions():
    module = pylstm.torch.LSTM(I, H).double()
    assert module(x_of(torch.float64))[0].dtype == torch.float64
    assert module.float()(x_of())[0].dtype == torch.float32
    assert module.share_memory()(x_of())[0].shape == (T, B, H)
    shapes = pylstm.torch.LSTM(I, H, device="meta")
    assert shapes(x_of(device="meta"))[0].device.type == "meta"
    assert shapes.to_empty(device="cpu")(x_of())[0].shape == (T, B, H)


def test_hooks_and_parametrisations_act():
    module, seen = pylstm.torch.GRU(I, H), []
    module.register_forward_hook(lambda module, inputs, output: seen.append(output[0].shape))
    module.register_full_backward_hook(lambda module, before, after: seen.append(after[0].shape))
    module(x_of(requires_grad=True))[0].sum().backward()
    assert seen == [(T, B, H), (T, B, H)]
    torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    module.zero_grad()
    module(x_of(requires_grad=True))[0].sum().backward()
    assert module.parametrizations.weight_hh_l0.original0.grad.abs().max() > 0


@pytest.mark.parametrize("train", [True, False])
def test_gradients_are_only_of_what_requires_them(train):
    module, x = pylstm.torch.LSTM(I, H), x_of(requires_grad=train)
    module.weight_hh_l0.requires_grad_(False)
    module(x)[0].sum().backward()
    assert module.weight_hh_l0.grad is None
    assert module.weight_ih_l0.grad is not None
    assert (x.grad is not None) == train
    module.requires_grad_(False)
    assert module(x)[0].requires_grad == train


@pytest.mark.parametrize("of", ["x", "params", "state", "everything", "first layer", "second layer"])
def test_what_nobody_needs_is_not_computed(of, monkeypatch):
    """The layer is told, and the gradients that are computed have the same bits."""
    module, x, state = pylstm.torch.GRU(I, H, 2), x_of(requires_grad=True), torch.randn(2, B, H, requires_grad=True)
    leaves = [x, state, *module.parameters()]
    wanted = dict(zip(map(id, leaves), torch.autograd.grad(module(x, state)[0].square().sum(), leaves)))
    told, backward = [], CompositeRun.backward
    monkeypatch.setattr(
        CompositeRun,
        "backward",
        lambda *run, without, **rest: told.append(without) or backward(*run, without=without, **rest),
    )
    frozen = {"first layer": ("l0",), "second layer": ("l1",), "params": ("l0", "l1"), "state": ("l0", "l1")}.get(
        of, ()
    )
    for name, weight in module.named_parameters():
        weight.requires_grad_(not name.endswith(frozen or ("none",)))
    x.requires_grad_(of in ("params", "everything", "first layer"))
    left = [each for each in leaves if each.requires_grad]
    for leaf, grad in zip(left, torch.autograd.grad(module(x, state)[0].square().sum(), left), strict=True):
        assert torch.equal(grad, wanted[id(leaf)])
    says = {
        "x": [["x"], ["x"]],
        "params": [["params"], ["params"]],
        "state": [["x", "params"], ["x", "params"]],
        "everything": (),
        "first layer": [["params"], []],
        "second layer": [["x"], ["x", "params"]],
    }
    assert told == [says[of]]


@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_frozen_direction(num_layers):
    module, x = pylstm.torch.GRU(I, H, num_layers, bidirectional=True), x_of(requires_grad=True)
    module(x)[0].square().sum().backward()
    wanted = {name: weight.grad.clone() for name, weight in module.named_parameters()}
    module.zero_grad()
    for name, weight in module.named_parameters():
        weight.requires_grad_(not name.endswith("l0_reverse"))
    module(x)[0].square().sum().backward()
    for name, weight in module.named_parameters():
        assert weight.grad is None if name.endswith("l0_reverse") else torch.equal(weight.grad, wanted[name])


def test_both_biases_have_gradients_of_their_own():
    module = pylstm.torch.LSTM(I, H)
    module(x_of())[0].sum().backward()
    assert module.bias_ih_l0.grad.data_ptr() != module.bias_hh_l0.grad.data_ptr()
    expected = module.bias_hh_l0.grad.clone()
    module.bias_ih_l0.grad.zero_()
    assert torch.equal(module.bias_hh_l0.grad, expected)


def test_results_may_be_changed_in_place():
    module, x = pylstm.torch.LSTM(I, H), x_of(requires_grad=True)
    (expected,) = torch.autograd.grad(2 * module(x)[0].sum(), x)
    y, (h, c) = module(x)
    h.detach().zero_()
    c.detach().zero_()
    (got,) = torch.autograd.grad(y.mul_(2).sum(), x)
    assert torch.equal(got, expected)


def test_weights_changed_before_backward_are_noticed_as_by_torch():
    for made in (pylstm.torch, torch.nn):
        module = made.LSTM(I, H)
        loss = module(x_of())[0].sum()
        with torch.no_grad():
            module.weight_hh_l0.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_states_alone_have_a_gradient_and_nothing_has_none():
    module, theirs = pylstm.torch.LSTM(I, H, 2), torch.nn.LSTM(I, H, 2)
    theirs.load_state_dict(module.state_dict())
    x = x_of(requires_grad=True)
    grads = [torch.autograd.grad(each(x)[1][1].sum(), x)[0] for each in (module, theirs)]
    torch.testing.assert_close(*grads, rtol=0, atol=1e-6)


def test_several_threads_call_one_module():
    module, xs = pylstm.torch.GRU(I, H, 2), [x_of() for _ in range(8)]
    expected, got = [module(x)[0].detach() for x in xs], [None] * len(xs)

    def work(k):
        for _ in range(20):
            y = module(xs[k])[0]
            y.sum().backward()
            assert torch.equal(y, expected[k])
        got[k] = True

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(xs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(got)


def test_threads_of_torch_do_not_spin_beside_a_long_call(same_number_of_threads):
    """They are ended before it; a short call leaves them alone."""
    if spinning.pause() is None or not Path("/proc/self/task").exists():
        pytest.skip("PyTorch is not here with GNU OpenMP, on Linux")
    before, count = torch.get_num_threads(), lambda: len(os.listdir("/proc/self/task"))
    torch.set_num_threads(2)
    pylstm.set_num_threads(2)
    module, long, short = pylstm.torch.LSTM(64, 64), torch.randn(100, 32, 64), torch.randn(2, 1, 64)
    try:
        with torch.no_grad():
            module(long)  # the engine's own threads are there
        torch.randn(10**6).exp()
        with_theirs = count()
        module(short)[0].sum().backward()
        assert count() == with_theirs
        y = module(long)[0]
        assert count() == with_theirs - 1
        torch.randn(10**6).exp()
        assert count() == with_theirs
        y.backward(torch.ones_like(y))
        assert count() == with_theirs - 1
    finally:
        torch.set_num_threads(before)


def test_checkpointing_computes_the_same():
    module, x = pylstm.torch.GRU(I, H), x_of(requires_grad=True)
    direct = torch.autograd.grad(module(x)[0].square().sum(), x)
    y = torch.utils.checkpoint.checkpoint(lambda x: module(x)[0], x, use_reentrant=False)
    assert torch.equal(torch.autograd.grad(y.square().sum(), x)[0], direct[0])


def test_new_parameters_of_other_cells_are_drawn_from_torch():
    torch.manual_seed(0)
    first = pylstm.torch.Recurrent("indrnn", I, H)
    torch.manual_seed(0)
    second = pylstm.torch.Recurrent("indrnn", I, H)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.weight_x_l0, pylstm.torch.Recurrent("indrnn", I, H).weight_x_l0)


@pytest.mark.parametrize("units", range(1, 40))
def test_the_first_weights_are_those_of_torch(units):
    """To the last bit in float64."""
    drawn = []
    for module in (torch.nn.GRU, pylstm.torch.GRU):
        torch.manual_seed(units)
        drawn.append(module(2, units, dtype=torch.float64).state_dict())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


def test_the_state_dict_of_a_layer_loads_into_the_module():
    layer = pylstm.GRU(I, H, 2, seed=0)
    module = pylstm.torch.GRU(I, H, 2)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in state_dict(layer).items()})
    x = x_of()
    assert (module(x)[0].detach().numpy() == layer(x.numpy()).y).all()


@pytest.mark.parametrize("train", [True, False])
def test_an_input_that_is_changed_before_a_second_derivative_is_noticed(train):
    module, x = pylstm.torch.GRU(I, H), x_of()
    y = module(x)[0].sum()
    x.add_(1)
    if train:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(y, module.weight_hh_l0, create_graph=True)
    else:
        torch.autograd.grad(y, module.weight_hh_l0)


def test_the_input_may_come_from_inference_mode():
    with torch.inference_mode():
        x = x_of()
    module = pylstm.torch.GRU(I, H)
    module(x)[0].sum().backward()
    assert module.weight_ih_l0.grad.abs().max() > 0


def test_weights_may_be_kept_in_half_precision():
    module, x = pylstm.torch.GRU(I, H), x_of()
    state = copy.deepcopy(module).half().state_dict()
    assert state["weight_ih_l0"].dtype == torch.float16
    before = module(x)[0]
    module.load_state_dict(state)
    torch.testing.assert_close(module(x)[0], before, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", MAKERS)
def test_under_autocast_it_computes_in_the_dtype_of_its_weights(name):
    """What comes from an operation in bfloat16 is taken; results and gradients are those of the converted input."""
    module, linear, x = MAKERS[name](pylstm.torch), torch.nn.Linear(I, I), x_of(requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = linear(x)
        assert z.dtype == torch.bfloat16
        y, state = module(z)
        assert module(z, state)[0].dtype == y.dtype == torch.float32
    (grad,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    assert torch.equal(y, module(z.float())[0])
    assert grad.abs().max() > 0
    with pytest.raises(TypeError, match=r"call .float\(\)"):
        module(z)


def test_a_dropout_without_effect_is_told():
    with pytest.warns(UserWarning, match="acts between layers") as told:
        pylstm.torch.GRU(I, H, dropout=0.5)
    assert told[0].filename == __file__


def test_a_module_without_values():
    module = pylstm.torch.LSTM(I, H, device="meta")
    with pytest.raises(RuntimeError, match=r"'meta', without values: module.to_empty\(device='cpu'\)"):
        module(x_of())
    module.to_empty(device="cpu").reset_parameters()
    assert module(x_of())[0].isfinite().all()
