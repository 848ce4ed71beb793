"""State dicts within larger ones, of cells, in half precision and in safetensors files; and the check by numbers."""

import json

import numpy as np
import pytest
import safetensors.numpy

import pylstm
from pylstm.interop.taking import Widening
from pylstm.interop.tensor_files import BFloat16, read_tensors
from pylstm.interop.torch import load_state_dict, state_dict
from pylstm.layers.named import Recurrent

T, B, I, H = 6, 3, 4, 5
KINDS = {"LSTMCell": "lstm", "GRUCell": "gru", "RNNCell": "rnn_tanh"}
EDGES = [
    0x0000,
    0x8000,
    0x3F80,
    0xC2A7,
    0x0001,
    0x807F,
    0x7F7F,
    0xFF80,
    0x3EAB,
]  # +-0, normal, subnormal, largest, -inf


def draw(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def theirs(torch, kind, seed=0):
    torch.manual_seed(seed)
    return getattr(torch.nn, kind)(I, H)


def run_cell(torch, cell, x):
    h, out = None, []
    with torch.no_grad():
        for x_t in torch.from_numpy(x):
            h = cell(x_t, h)
            out.append((h[0] if isinstance(h, tuple) else h).numpy())
    return np.array(out)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_within_a_larger_state_dict_and_back(kind):
    torch = pytest.importorskip("torch")
    model = torch.nn.ModuleDict({"encoder": theirs(torch, kind), "head": torch.nn.Linear(H, 2)})
    x, layer = draw(1, T, B, I), Recurrent(KINDS[kind], I, H, seed=1)
    expected = run_cell(torch, model["encoder"], x)
    load_state_dict(layer, model, prefix="encoder.", check=(x, torch.from_numpy(expected)))
    back = theirs(torch, kind, seed=5)
    back.load_state_dict({key: torch.from_numpy(array) for key, array in state_dict(layer, cell=True).items()})
    np.testing.assert_allclose(run_cell(torch, back, x), expected, rtol=0, atol=2e-6)


def test_the_cells_of_a_list_one_by_one():
    torch = pytest.importorskip("torch")
    cells = torch.nn.ModuleList([torch.nn.GRUCell(I, H), torch.nn.GRUCell(H, H)])
    x, stack = draw(2, T, B, I), Recurrent("gru", I, H, num_layers=2, seed=0)
    for k, layer in enumerate(stack.layers):
        load_state_dict(layer, cells.state_dict(), prefix=f"{k}.")
    np.testing.assert_allclose(stack(x).y, run_cell(torch, cells[1], run_cell(torch, cells[0], x)), rtol=0, atol=2e-6)


def test_a_prefix_that_is_wrong():
    layer, state = (
        Recurrent("gru", I, H),
        {f"a.b.{key}": array for key, array in state_dict(Recurrent("gru", I, H)).items()},
    )
    with pytest.raises(ValueError, match=r"no key begins with 'b\.'; prefixes there are: a\.b\."):
        load_state_dict(layer, state, prefix="b.")
    with pytest.raises(ValueError, match=r"pass prefix='a\.b\.'"):
        load_state_dict(layer, state)
    with pytest.raises(TypeError, match=r"prefix must be a text such as 'rnn\.', got int"):
        load_state_dict(layer, state, prefix=3)
    load_state_dict(layer, state, prefix="a.b.")


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}, {"proj_size": 2}])
def test_what_a_cell_is_not(options):
    with pytest.raises(ValueError, match="cell=True is for one layer of one direction without projection"):
        state_dict(pylstm.LSTM(I, H, **options), cell=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_tensors_of_half_precision_are_converted_and_it_is_said(half, dtype):
    torch = pytest.importorskip("torch")
    module = theirs(torch, "LSTMCell").to(getattr(torch, half))
    layer, x = Recurrent("lstm", I, H, dtype=dtype, seed=1), draw(3, T, B, I)
    with pytest.warns(UserWarning, match=f"^state_dict: 4 arrays converted from {half} to {dtype}$"):
        load_state_dict(layer, module)
    np.testing.assert_array_equal(layer.params["weight_x"], module.weight_ih.detach().double().numpy())
    wide = run_cell(torch, module.float(), x)
    np.testing.assert_allclose(layer(x.astype(dtype)).y, wide, rtol=0, atol=2e-6)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_files_of_torch_in_half_precision(half, tmp_path):
    torch = pytest.importorskip("torch")
    module, path = theirs(torch, "GRUCell").to(getattr(torch, half)), tmp_path / "net.pt"
    torch.save(module.state_dict(), path)
    layer = Recurrent("gru", I, H)
    with pytest.raises(ValueError, match=r"net\.pt: a file of torch\.save.*torch\.load\(path, weights_only=True\)"):
        load_state_dict(layer, path)
    with pytest.warns(UserWarning, match=f"4 arrays converted from {half} to float32"):
        load_state_dict(layer, torch.load(path, weights_only=True))
    np.testing.assert_array_equal(layer.params["weight_x"][2 * H :], module.weight_ih.detach().float().numpy()[2 * H :])


def test_safetensors_files_of_bfloat16_that_torch_wrote(tmp_path):
    torch = pytest.importorskip("torch")
    library, path = pytest.importorskip("safetensors.torch"), tmp_path / "net.safetensors"
    module = torch.nn.LSTM(I, H, num_layers=2).bfloat16()
    state = {f"rnn.{key}": array for key, array in module.state_dict().items()} | {
        "head": torch.ones(3, dtype=torch.int64)
    }
    state["rnn.bias_hh_l1"] = state["rnn.bias_hh_l1"].half()
    library.save_file(state, path)
    layer = pylstm.LSTM(I, H, num_layers=2)
    with pytest.warns(UserWarning, match="7 arrays converted from bfloat16 to float32, 1 array converted from float16"):
        load_state_dict(layer, path, prefix="rnn.")
    expected = pylstm.LSTM(I, H, num_layers=2)
    load_state_dict(expected, {key[4:]: array.float() for key, array in state.items() if key != "head"})
    np.testing.assert_array_equal(layer.params.flat, expected.params.flat)


def write_bfloat16(path, arrays):
    """A safetensors file of bits, without torch."""
    header, data = {}, b""
    for name, bits in arrays.items():
        more = bits.astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": bits.shape, "data_offsets": [len(data), len(data) + len(more)]}
        data += more
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_the_bits_of_bfloat16(tmp_path):
    bits = np.array(EDGES, "u2").reshape(3, 3)
    write_bfloat16(tmp_path / "x", {"a": bits, "b": bits[:1] ^ 0x8000})
    read = read_tensors(tmp_path / "x")
    for name, expected in (("a", bits), ("b", bits[:1] ^ 0x8000)):
        wide = np.asarray(read[name])
        assert wide.dtype == "float32" and wide.shape == expected.shape
        np.testing.assert_array_equal(wide.view("u4"), expected.astype("u4") << 16)
    assert read_tensors(tmp_path / "x", "b")["a"] is None
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(bits.view("i2")).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(np.asarray(read["a"]).view("u4"), tensor.view("u4"))


def test_a_file_of_float32_says_nothing(tmp_path):
    one, two = (Recurrent("gru", I, H, seed=k) for k in range(2))
    safetensors.numpy.save_file(state_dict(one, cell=True), tmp_path / "x")
    load_state_dict(two, str(tmp_path / "x"))
    np.testing.assert_array_equal(two.params.flat, one.params.flat)


def test_files_that_are_none(tmp_path):
    layer = Recurrent("gru", I, H)
    with pytest.raises(FileNotFoundError, match="does not exist: check the name"):
        load_state_dict(layer, tmp_path / "absent.safetensors")
    (tmp_path / "x").write_bytes(b"\x00" * 40)
    with pytest.raises(ValueError, match="not a safetensors file, or cut short or damaged"):
        load_state_dict(layer, tmp_path / "x")


def test_other_dtypes_are_refused_still():
    widening = Widening(np.dtype("float32"))
    for array in (np.ones(2), np.ones(2, "i4"), np.ones(2, "c8")):
        with pytest.raises(TypeError, match="x must be float32, got"):
            widening("x", array, (2,))
    with pytest.raises(ValueError, match=r"x must have shape \(3,\), got \(2,\)"):
        widening("x", BFloat16(b"\0\0\0\0", (2,)), (3,))
    assert not widening.found


def test_numbers_of_another_layer_are_refused():
    one, two = (Recurrent("gru", I, H, seed=k) for k in range(2))
    x, before = draw(4, T, B, I), two.params.flat.copy()
    load_state_dict(one, state_dict(one), check=(x, one(x).y))
    load_state_dict(one, state_dict(one), check=(x, one(x).y.astype("float16")))
    swapped = state_dict(one)
    swapped["weight_hh_l0"] = np.roll(swapped["weight_hh_l0"], H, axis=0)
    for state, check, error, message in (
        (swapped, (x, one(x).y), ValueError, r"differ from y by 0\.\d+ of its largest, where 1e-05 is allowed"),
        (swapped, (x, one(x).y.astype("float16")), ValueError, "where 0.03 is allowed"),
        (state_dict(one), (x, np.full((T, B, H), np.nan)), ValueError, "differ from y by nan"),
        (state_dict(one), (x, one(x).y[1:]), ValueError, r"y must have the shape of the layer's outputs, \(6, 3, 5\)"),
        (state_dict(one), (x[..., 1:], one(x).y), ValueError, "x must have shape"),
        (state_dict(one), x, TypeError, r"check must be a pair of inputs and outputs, \(x, y\), got ndarray"),
    ):
        with pytest.raises(error, match=message):
            load_state_dict(two, state, check=check)
        np.testing.assert_array_equal(two.params.flat, before)


def test_a_file_of_float8_is_not_damaged(tmp_path):
    text = json.dumps({"weight_ih_l0": {"dtype": "F8_E4M3", "shape": [2, 3], "data_offsets": [0, 6]}}).encode()
    text += b" " * (-len(text) % 8)
    (tmp_path / "x").write_bytes(len(text).to_bytes(8, "little") + text + b"abcdef")
    with pytest.raises(TypeError, match=r"'weight_ih_l0' is of the dtype F8_E4M3, which is not taken.*\.float\(\)"):
        load_state_dict(Recurrent("gru", I, H), tmp_path / "x")
