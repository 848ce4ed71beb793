"""Constants of a cell in a module: no parameters, and the same numbers whatever training, loading or rounding does."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import pylstm  # noqa: E402  (after the skip)
import pylstm.torch  # noqa: E402

I, H, M, T, B = 3, 5, 4, 7, 2


class Keeping(pylstm.Cell):
    """m = A m- + b u;  h = tanh(W x + U h- + V m- + c), A and b constant: rows of a matrix, and a number a unit."""

    states = ("h", "m")
    gates = {"u": "x+h", "a": "m", "g": "x+h+m"}
    biased = ("u", "g")
    sizes = {"memory": M}
    widths = {"u": 1, "a": "memory", "m": "memory", "b": "memory"}
    constants = {
        "b": lambda size: np.arange(1, size.memory + 1) / 9,
        "weight_m.a": lambda size: np.eye(size.memory) / 3,
    }

    def forward(z, p):
        return {"h": pylstm.tanh(z.g), "m": z.a + p.b * z.u}


class Other(Keeping):
    """The same with another A and another b."""

    constants = {
        "b": lambda size: np.arange(1, size.memory + 1) / 7,
        "weight_m.a": lambda size: np.eye(size.memory) / 2,
    }

    def forward(z, p):
        return {"h": pylstm.tanh(z.g), "m": z.a + p.b * z.u}


def make(cell=Keeping, **options):
    torch.manual_seed(1)
    return pylstm.torch.Recurrent(cell, I, H, num_layers=2, **options)


def held(module):
    """(values in the state dict, those of the cell) of all constants."""
    state = module.state_dict()
    for k in range(2):
        yield state[f"b_l{k}"], torch.arange(1, M + 1) / 9
        yield state[f"weight_m_l{k}"][:M], torch.eye(M) / 3


def assert_held(module):
    for there, constant in held(module):
        torch.testing.assert_close(there, constant.to(there.dtype), rtol=1e-6, atol=0)


def train(module, steps=3, **options):
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.5, **options)
    for _ in range(steps):
        optimiser.zero_grad()
        (module(torch.randn(T, B, I))[0].sum() + sum(each.square().sum() for each in module.parameters())).backward()
        optimiser.step()


def init_all(module):
    for weight in module.parameters():
        torch.nn.init.uniform_(weight, -0.1, 0.1)


def shift_all(module):
    with torch.no_grad():
        for weight in module.state_dict().values():
            weight.add_(0.5)


CHANGES = {
    "weight decay": train,
    "weight decay, fused": lambda module: train(module, fused=True),
    "all require gradients": lambda module: train(module.requires_grad_(True)),
    "initialisers": init_all,
    "in place, buffers too": shift_all,
    "half precision and back": lambda module: module.half().float(),
    "float64": lambda module: module.double(),
    "drawn anew": lambda module: module.reset_parameters(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_constants_keep_their_values(change):
    module = make()
    CHANGES[change](module)
    assert_held(module)
    module(torch.randn(T, B, I, dtype=module.bias_l0.dtype))
    assert_held(module)
    assert [name for name, _ in module.named_buffers()] == ["b_l0", "b_l1"]
    assert not {"b_l0", "b_l1"} & {name for name, _ in module.named_parameters()}


def test_a_call_gives_back_rows_that_an_optimiser_changed():
    """Not only a state dict does: who reads the parameter after a call sees the constant."""
    module = make()
    train(module)
    module(torch.randn(T, B, I))
    torch.testing.assert_close(module.weight_m_l1[:M], torch.eye(M) / 3, rtol=1e-6, atol=0)


def test_tensors_in_the_place_of_parameters_stay_as_they_are():
    module = make()
    given = {name: each.detach() + 0.5 for name, each in module.state_dict().items()}
    before = {name: each.clone() for name, each in given.items()}
    x = torch.randn(T, B, I)
    y = torch.func.functional_call(module, given, (x,))[0]
    assert all(torch.equal(given[name], before[name]) for name in given)
    with torch.no_grad():
        for name, each in module.named_parameters():
            each.copy_(given[name])
    assert torch.equal(module(x)[0], y)


def test_gradients_of_a_call_before_the_rows_changed_are_taken():
    """Two calls, one backward pass, an optimiser's step between them on the rows only."""
    module = make()
    first = module(torch.randn(T, B, I))[0].sum()
    module.weight_m_l0.data[:M] += 1
    (first + module(torch.randn(T, B, I))[0].sum()).backward()
    assert module.weight_m_l0.grad[M:].abs().min() > 0 and (module.weight_m_l0.grad[:M] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_state_dict_with_other_constants_is_refused(dtype):
    state = {name: each.to(dtype) for name, each in make().state_dict().items()}
    x = torch.randn(T, B, I)
    other = torch.nn.Sequential(make(Other))
    with pytest.raises(RuntimeError, match=r"0\.weight_m_l1") as caught:
        other.load_state_dict({f"0.{name}": each for name, each in state.items()})
    for what in ("0.b_l0", "rows 0 to 3 of 0.weight_m_l0", "make the module with the cell"):
        assert what in str(caught.value)
    same = make()
    same.load_state_dict(state)
    assert_held(same)
    tolerance = {torch.float16: 1e-2, torch.bfloat16: 1e-1}.get(dtype, 1e-6)
    torch.testing.assert_close(same(x)[0], make()(x)[0], rtol=0, atol=tolerance)


def test_copies_files_and_layers_have_them():
    module = make()
    train(module)
    x = torch.randn(T, B, I)
    y = module(x)[0]
    for again in (copy.deepcopy(module), make().train()):
        again.load_state_dict(module.state_dict())
        assert torch.equal(again(x)[0], y)
        assert_held(again)
    layer = module.to_pylstm()
    assert (layer(x.numpy()).y == y.detach().numpy()).all() and layer.params.frozen == ()
    empty = pylstm.torch.Recurrent(Keeping, I, H, 2, device="meta").to_empty(device="cpu")
    empty.load_state_dict(module.state_dict())
    assert torch.equal(empty(x)[0], y)


def test_compiled():
    module, x = make(), torch.randn(T, B, I)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    train(module, 1)
    torch.testing.assert_close(compiled(x)[0], module(x)[0])
    program = torch.export.export(module, (x,))
    torch.testing.assert_close(program.module()(x)[0], module(x)[0])
