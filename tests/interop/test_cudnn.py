"""cuDNN's buffer: laid out by hand from the weights of PyTorch, and by JAX; round trips; what does not fit."""

import numpy as np
import pytest

from pylstm.interop import cudnn
from pylstm.layers.named import Recurrent

T, B, I, H = 6, 3, 4, 5


def draw(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_the_layout_of_pytorch(kind, both, bias):
    """What ``flatten_parameters`` makes on a GPU: all matrices, layer by layer and in each by direction, all biases."""
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, kind)(I, H, 3, bidirectional=both, bias=bias)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0, 0.5)
    suffixes = [f"_l{k}{end}" for k in range(3) for end in ("", "_reverse")[: 1 + both]]
    state = module.state_dict()
    parts = [state[f"{stem}{suffix}"] for suffix in suffixes for stem in ("weight_ih", "weight_hh")]
    parts += [state[f"{stem}{suffix}"] for suffix in suffixes * bias for stem in ("bias_ih", "bias_hh")]
    flat = torch.cat([each.flatten() for each in parts])
    x, cell = draw(1, T, B, I), "rnn_tanh" if kind == "RNN" else kind.lower()
    y = module(torch.from_numpy(x))[0].detach().numpy()
    for buffer in (flat, flat.numpy()):
        layer = Recurrent(cell, I, H, 3, bidirectional=both, bias=bias, seed=0)
        cudnn.load_buffer(layer, buffer, check=(x, y))
        np.testing.assert_allclose(layer(x).y, y, rtol=0, atol=2e-6)
    again = Recurrent(cell, I, H, 3, bidirectional=both, bias=bias)
    cudnn.load_buffer(again, cudnn.buffer(layer))
    np.testing.assert_allclose(again.params.flat, layer.params.flat, rtol=0, atol=1e-7)


@pytest.mark.parametrize("both", [False, True])
def test_the_layout_of_jax(both):
    jax = pytest.importorskip("jax")
    rnn = pytest.importorskip("jax.experimental.rnn")
    flat = rnn.init_lstm_weight(jax.random.PRNGKey(0), I, H, 2, both)
    layer = Recurrent("lstm", I, H, 2, bidirectional=both, batch_first=True, seed=0)
    x, zeros = draw(1, B, T, I), jax.numpy.zeros((2 * (1 + both), B, H))
    of_x, of_h, bias_x, bias_h = rnn.unpack_lstm_weights(flat, I, H, 2, both)
    lengths = jax.numpy.full(B, T)
    y, *_ = rnn.lstm_ref(x, zeros, zeros, of_x, of_h, bias_x, bias_h, lengths, I, H, 2, 0.0, both)
    cudnn.load_buffer(layer, np.asarray(flat), check=(x, np.asarray(y)))
    assert cudnn.buffer(layer).shape == flat.shape


@pytest.mark.parametrize("mode", ["input", "recurrent"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_one_bias_for_each_gate(kind, both, mode):
    """The other bias of PyTorch is 0."""
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, kind)(I, H, 2, bidirectional=both)
    kept, other = ("bias_ih", "bias_hh")[:: 1 if mode == "input" else -1]
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.normal_(0, 0.5).mul_(other not in name)
    suffixes = [f"_l{k}{end}" for k in range(2) for end in ("", "_reverse")[: 1 + both]]
    state = module.state_dict()
    parts = [state[f"{stem}{suffix}"] for suffix in suffixes for stem in ("weight_ih", "weight_hh")]
    flat = torch.cat([each.flatten() for each in parts + [state[f"{kept}{suffix}"] for suffix in suffixes]])
    x, cell = draw(1, T, B, I), "rnn_tanh" if kind == "RNN" else kind.lower()
    y = module(torch.from_numpy(x))[0].detach().numpy()
    for options in ({"bias_mode": mode}, *([{}] if kind != "GRU" else [])):
        layer = Recurrent(cell, I, H, 2, bidirectional=both, seed=0)
        cudnn.load_buffer(layer, flat, **options)
        np.testing.assert_allclose(layer(x).y, y, rtol=0, atol=2e-6)
    assert (cudnn.buffer(layer, bias_mode=mode) == flat.numpy()).all()


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("both", [False, True])
def test_the_projection_of_mxnet(both, bias):
    """Of each layer and direction ``i2h``, ``h2h``, ``h2r``, then all biases."""
    torch = pytest.importorskip("torch")
    module = torch.nn.LSTM(I, H, 2, bidirectional=both, bias=bias, proj_size=3)
    suffixes, state = [f"_l{k}{end}" for k in range(2) for end in ("", "_reverse")[: 1 + both]], module.state_dict()
    stems = ("weight_ih", "weight_hh", "weight_hr")
    parts = [state[f"{stem}{suffix}"] for suffix in suffixes for stem in stems]
    parts += [state[f"{stem}{suffix}"] for suffix in suffixes * bias for stem in ("bias_ih", "bias_hh")]
    x = draw(1, T, B, I)
    y = module(torch.from_numpy(x))[0].detach().numpy()
    layer = Recurrent("lstmp", I, H, 2, bidirectional=both, bias=bias, proj_size=3, seed=0)
    cudnn.load_buffer(layer, torch.cat([each.flatten() for each in parts]), check=(x, y))
    again = Recurrent("lstmp", I, H, 2, bidirectional=both, bias=bias, proj_size=3)
    cudnn.load_buffer(again, cudnn.buffer(layer))
    np.testing.assert_allclose(again.params.flat, layer.params.flat, rtol=0, atol=1e-7)


def test_half_precision_is_converted_and_said():
    layer = Recurrent("gru", I, H, seed=0)
    flat = cudnn.buffer(layer).astype("float16")
    with pytest.warns(UserWarning, match="buffer: 1 array converted from float16 to float32"):
        cudnn.load_buffer(layer, flat)


def test_what_does_not_fit_is_refused():
    layer, plain = Recurrent("lstm", I, H, 2, seed=0), Recurrent("lstm", I, H, 2, bias=False, seed=0)
    flat, before = cudnn.buffer(layer), layer.params.flat.copy()
    matrices = 20 * (4 + 5) + 20 * (5 + 5)
    for given, message in (
        (flat[:matrices], r"buffer must have shape \(460,\) for 2 layers .*got \(380,\): it has no biases: make the"),
        (flat[:-1], "of other sizes, or of another kind"),
        (flat.reshape(2, -1), "pass one vector"),
        (np.append(flat[:-1], np.float32(np.nan)), "buffer must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            cudnn.load_buffer(layer, given)
    with pytest.raises(ValueError, match=r"buffer must have shape \(380,\) .*it has biases: make it with bias=T"):
        cudnn.load_buffer(plain, flat)
    with pytest.raises(TypeError, match="buffer must be float32"):
        cudnn.load_buffer(layer, flat.astype("float64"))
    with pytest.raises(ValueError, match="the outputs differ from y"):
        cudnn.load_buffer(layer, flat[::-1].copy(), check=(draw(1, T, B, I), layer(draw(1, T, B, I)).y))
    assert np.array_equal(layer.params.flat, before)
    gru, flat = Recurrent("gru", I, H, seed=0), cudnn.buffer(Recurrent("gru", I, H))
    with pytest.raises(ValueError, match="it has one bias for each gate: pass bias_mode='input' or 'recurrent'"):
        cudnn.load_buffer(gru, flat[:-15])
    with pytest.raises(ValueError, match="it has two biases for each gate: leave bias_mode out"):
        cudnn.load_buffer(gru, flat, bias_mode="input")
    with pytest.raises(ValueError, match="bias_mode must be one of 'double', 'input', 'recurrent', got 'single'"):
        cudnn.load_buffer(gru, flat, bias_mode="single")
    gru.params["bias"] = draw(1, 20)
    with pytest.raises(ValueError, match="the candidate of the GRU has a bias for x and one for h"):
        cudnn.buffer(gru, bias_mode="recurrent")
    with pytest.raises(TypeError, match="peephole"):
        cudnn.buffer(Recurrent("peephole", I, H))
