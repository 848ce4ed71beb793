"""What the modules refuse, with the cure: arguments, dtypes, transformations, second derivatives."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import pylstm.torch  # noqa: E402  (after the skip)

I, H, T, B = 3, 5, 7, 4


def x_of(dtype=torch.float32, **options):
    return torch.randn(T, B, I, dtype=dtype, **options)


def call(module, *arguments, **options):
    return lambda: module(*arguments, **options)


def replaced(name, *shape, dtype=torch.float32):
    """A module in which somebody has put another parameter."""
    module = pylstm.torch.LSTM(I, H)
    setattr(module, name, torch.nn.Parameter(torch.ones(shape, dtype=dtype)))
    return module


def deleted(module, name="weight_ih_l0"):
    delattr(module, name)
    return module


def without_any(module):
    for name, _ in list(module.named_parameters()):
        delattr(module, name)
    return module.to(torch.float64)


LSTM = pylstm.torch.LSTM(I, H)
PACKED = torch.nn.utils.rnn.pack_padded_sequence(x_of(), [7, 4, 4, 1])
REFUSED = {
    "half": (lambda: pylstm.torch.LSTM(I, H).half()(x_of()), TypeError, r"float16.*call .float\(\)"),
    "half input": (call(LSTM, x_of().bfloat16()), TypeError, r"bfloat16.*call .float\(\)"),
    "complex": (call(LSTM, x_of(torch.complex64)), TypeError, "complex64.*view_as_real"),
    "integers": (call(LSTM, torch.ones(T, B, I, dtype=int)), TypeError, r"int64: convert it with .to\(torch.float32"),
    "integers in float64": (
        call(pylstm.torch.GRU(I, H, dtype=torch.float64), torch.ones(T, B, I, dtype=int)),
        TypeError,
        r"must be torch.float64, as the weights, got torch.int64: convert it with .to\(torch.float64",
    ),
    "dtype": (
        call(LSTM, x_of(torch.float64)),
        TypeError,
        r"torch.float32\). Convert input: input.to\(torch.float32\), or convert model",
    ),
    "made half": (lambda: pylstm.torch.GRU(I, H, dtype=torch.float16), TypeError, "dtype must be float32 or float64"),
    "cuda": (lambda: torch.nn.Sequential(pylstm.torch.GRU(I, H)).to("cuda"), TypeError, "runs on the CPU"),
    "made on cuda": (lambda: pylstm.torch.GRU(I, H, device="cuda"), TypeError, "must be on the CPU"),
    "array": (call(LSTM, np.ones((T, B, I), "f")), TypeError, "torch.from_numpy"),
    "shape": (call(LSTM, torch.ones(T, B, I + 1)), ValueError, r"input must have shape \(T, B, 3\), got \(7, 4, 4\)"),
    "axes": (call(LSTM, torch.ones(I)), ValueError, "must have shape"),
    "no tuple": (call(LSTM, x_of(), torch.ones(1, B, H)), TypeError, "tuple of 2 tensors"),
    "tuple": (call(pylstm.torch.GRU(I, H), x_of(), (torch.ones(1, B, H),)), TypeError, "one tensor"),
    "states": (call(LSTM, x_of(), (torch.ones(1, B, H), torch.ones(2, B, H))), ValueError, r"hx\[1\].*\(1, 4, 5\)"),
    "lengths of one": (call(LSTM, torch.ones(T, I), lengths=[3]), ValueError, "batch of sequences"),
    "lengths": (call(LSTM, x_of(), lengths=[8, 1, 1, 1]), ValueError, "lengths must be in 0..7"),
    "reset": (call(LSTM, x_of(), reset=torch.zeros(T, B)), TypeError, "reset must be a tensor of bool.*reset != 0"),
    "lengths of floats": (call(LSTM, x_of(), lengths=torch.ones(B)), TypeError, r"lengths must be integers.*long\(\)"),
    "no lengths": (
        call(LSTM, x_of(), lengths=[None, 1]),
        TypeError,
        r"lengths must be a tensor or list.*got \[None, 1",
    ),
    "no reset": (call(LSTM, x_of(), reset="ab"), TypeError, "reset must be a tensor of bool, got 'ab'"),
    "no size": (lambda: pylstm.torch.LSTM(), TypeError, "LSTM needs input_size and hidden_size"),
    "no cell": (lambda: pylstm.torch.Recurrent(), TypeError, "Recurrent needs cell and input_size"),
    "unknown": (lambda: pylstm.torch.GRU(I, H, layers=2), TypeError, "GRU has no option layers=: it takes input_size"),
    "width": (lambda: pylstm.torch.LSTM(I, "b"), TypeError, "hidden_size should be of type int, got: str"),
    "zero": (lambda: pylstm.torch.LSTM(I, 0), ValueError, "hidden_size must be greater than zero"),
    "dtype of NumPy": (lambda: pylstm.torch.RNN(I, H, dtype="float32"), TypeError, r"torch\.float64, got 'float32'$"),
    "name with a space": (call(LSTM, x_of(), blend={"h seed": torch.ones(T, B, H)}), ValueError, "h seed"),
    "no dict": (call(LSTM, x_of(), blend=torch.ones(T, B, H)), TypeError, "blend must be a dict by name"),
    "deleted": (
        call(deleted(pylstm.torch.LSTM(I, H)), x_of()),
        RuntimeError,
        r"the LSTM has no parameter weight_ih_l0, .*set module.weight_ih_l0 = torch.nn.Parameter.*shape \(20, 3\)",
    ),
    "deleted, as a layer": (
        deleted(pylstm.torch.GRU(I, H), "bias_hh_l0").to_pylstm,
        RuntimeError,
        "no parameter bias_hh",
    ),
    "deleted, drawn anew": (
        deleted(pylstm.torch.RNN(I, H), "weight_hh_l0").reset_parameters,
        RuntimeError,
        "no parameter weight_hh_l0, which was deleted or set to None",
    ),
    "all deleted": (without_any(pylstm.torch.LSTM(I, H)).to_pylstm, RuntimeError, "no parameter weight_ih_l0"),
    "wide weight": (
        call(replaced("weight_hh_l0", 1, H), x_of()),
        ValueError,
        r"weight_hh_l0 must have .*\(20, 5\)",
    ),
    "short bias": (call(replaced("bias_ih_l0", 1), x_of()), ValueError, r"bias_ih_l0 must have shape \(20\)"),
    "other weight": (
        call(replaced("weight_hh_l0", 4 * H, H, dtype=torch.float64), x_of()),
        TypeError,
        "weight_hh_l0 is torch.float64, but the weights are torch.float32",
    ),
    "projected GRU": (lambda: pylstm.torch.GRU(I, H, proj_size=2), ValueError, "only supported for LSTM"),
    "projected RNN": (lambda: pylstm.torch.RNN(I, H, proj_size=2), ValueError, "only supported for LSTM"),
    "learned": (lambda: pylstm.torch.GRU(I, H, learn_initial=5), TypeError, "learn_initial must be True, False or"),
    "packed and lengths": (call(LSTM, PACKED, lengths=[7, 4, 4, 1]), ValueError, "not with a PackedSequence"),
    "aux": (call(LSTM, x_of(), aux={"dt": torch.ones(T, B, H)}), ValueError, "dt"),
    "list": (
        call(pylstm.torch.GRU(I, H, 2), x_of(), pre={"h": torch.ones(T, B, H)}),
        ValueError,
        "for each of 2 layers",
    ),
    "vmap": (lambda: torch.vmap(lambda x: LSTM(x)[0])(torch.ones(2, T, B, I)), TypeError, "in place of vmap"),
    "func": (lambda: torch.func.grad(lambda x: LSTM(x)[0].sum())(x_of()), TypeError, "use backward"),
    "proj_size": (lambda: pylstm.torch.LSTM(I, H, proj_size=H), ValueError, "below hidden_size"),
    "nonlinearity": (lambda: pylstm.torch.RNN(I, H, nonlinearity="tan"), ValueError, "Unknown nonlinearity 'tan'"),
    "dropout": (lambda: pylstm.torch.GRU(I, H, 2, dropout=2), ValueError, "dropout"),
    "text as size": (lambda: pylstm.torch.LSTM(I, "3"), TypeError, "hidden_size should be of type int, got: str"),
    "sparse": (lambda: LSTM(x_of().to_sparse()), TypeError, r"input must be a dense tensor.*\.to_dense\(\)"),
    "cell": (lambda: pylstm.torch.Recurrent("lsmt", I, H), LookupError, "lstm"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_the_cure(what):
    act, error, match = REFUSED[what]
    with pytest.raises(error, match=match):
        act()


def test_saved_tensors_that_are_copied_are_refused():
    module = pylstm.torch.GRU(I, H)
    with torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda tensor: tensor):
        y = module(x_of())[0]
    with pytest.raises(RuntimeError, match=r"tape of a pylstm\.torch module was copied"):
        y.sum().backward()
