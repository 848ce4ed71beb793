"""`to_pylstm`: the layer with the weights of a module."""

import pytest

torch = pytest.importorskip("torch")

import pylstm.torch  # noqa: E402  (after the skip)

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
