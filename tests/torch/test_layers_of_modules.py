"""`to_pylstm`: the layer with the weights of a module, and the doors that ask for it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import pylstm.torch  # noqa: E402  (after the skip)
import pylstm.wording  # noqa: E402

I, H, T, B = 3, 5, 7, 4
TO_LAYERS = {
    "LSTM": lambda: pylstm.torch.LSTM(I, H),
    "LSTM of two layers": lambda: pylstm.torch.LSTM(I, H, 2, dropout=0.3, batch_first=True, dtype=torch.float64),
    "projected": lambda: pylstm.torch.LSTM(I, H, 2, proj_size=2, bidirectional=True),
    "GRU of one layer, both directions": lambda: pylstm.torch.GRU(I, H, bidirectional=True, bias=False),
    "RNN": lambda: pylstm.torch.RNN(I, H, nonlinearity="relu"),
    "another cell": lambda: pylstm.torch.Recurrent("peephole", I, H, 3, learn_initial=True),
}


@pytest.mark.parametrize("make", TO_LAYERS.values(), ids=TO_LAYERS)
def test_the_layer_of_a_module(make, tmp_path):
    module = make().eval()
    for weight in module.parameters():
        torch.nn.init.normal_(weight)
    layer = module.to_pylstm()
    x = torch.randn(B, T, I, dtype=weight.dtype) if module.batch_first else torch.randn(T, B, I, dtype=weight.dtype)
    if hasattr(layer, "eval"):
        layer.eval()
    assert layer.batch_first == module.batch_first and getattr(layer, "dropout", 0) == module.dropout
    y = module(x)[0].detach().numpy()
    assert (layer(x.numpy()).y == y).all()
    pylstm.save(tmp_path / "m", layer)
    before = layer.params.flat.copy()
    with torch.no_grad():
        weight.zero_()  # the layer has weights of its own
    assert (layer.params.flat == before).all()


MODULES = {
    "pylstm.torch": (
        lambda: pylstm.torch.GRU(I, H),
        "GRU, a module of pylstm.torch: pass module.to_pylstm(), the layer",
    ),
    "torch": (
        lambda: torch.nn.LSTM(I, H, 2, bidirectional=True, proj_size=2),
        "make layer = pylstm.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2), then "
        "pylstm.interop.torch.load_state_dict(layer, module), and pass layer",
    ),
    "a cell": (lambda: torch.nn.RNNCell(I, H, nonlinearity="relu"), "pylstm.RNN(3, 5, nonlinearity='relu'), then"),
    "a model": (
        lambda: torch.nn.Sequential(torch.nn.GRU(I, H)),
        "a module of PyTorch: pylstm.interop.torch.load_state_",
    ),
}
DOORS = {
    "ONNX": lambda module: onnx_export()(module, "net.onnx"),
    "C": lambda module: pylstm.export.c(module, "net.c"),
    "header": lambda module: pylstm.export.header(module, "net.h"),
    "RTNeural": lambda module: pylstm.interop.rtneural.save(module, "net.json"),
    "NAM": lambda module: pylstm.interop.nam.save(module, "net.nam"),
    "a file": lambda module: pylstm.save("net", module),
    "a file of layers": lambda module: pylstm.save("net", {"body": module}),
    "weights": lambda module: pylstm.interop.torch.state_dict(module),
}


def onnx_export():
    pytest.importorskip("onnx")
    return pylstm.interop.onnx.export


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize(("make", "cure"), MODULES.values(), ids=MODULES)
def test_a_module_in_the_place_of_a_layer(make, cure, door, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError) as caught:
        door(make())
    assert cure in str(caught.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN, torch.nn.RNNCell, torch.nn.GRUCell])
@pytest.mark.parametrize("bias", [True, False])
def test_the_cure_of_a_module_of_pytorch_works(make, bias):
    module = make(I, H, bias=bias)
    said = pylstm.wording.named(module)
    names = {"pylstm": pylstm, "module": module}
    exec(said.partition("make ")[2].partition(", then ")[0], names)
    exec(said.partition(", then ")[2].partition(", and ")[0], names)
    x = torch.randn(T, B, I)
    if isinstance(module, torch.nn.RNNBase):
        assert np.allclose(names["layer"](x.numpy()).y, module(x)[0].detach(), atol=1e-6)
    else:
        assert np.allclose(names["layer"](x[:1].numpy()).y[0], module(x[0]).detach(), atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_of_the_stack_acts_in_the_mode_of_the_module(training):
    module = pylstm.torch.LSTM(3, 5, 2, dropout=0.5).train(training)
    assert module.to_pylstm().training is training
