"""torch.compile, export and torch's own checks of the operators."""

import io
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402  (after the skip)

import pylstm  # noqa: E402
import pylstm.torch  # noqa: E402
from pylstm.torch import door  # noqa: E402

I, H, T, B = 3, 5, 7, 4

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler itself


class Model(torch.nn.Module):
    """Words, a layer, a head."""

    def __init__(self, layer):
        super().__init__()
        self.embedding, self.layer, self.head = torch.nn.Embedding(11, I), layer, torch.nn.Linear(layer.output_size, 11)

    def forward(self, words, **given):
        y, state = self.layer(self.embedding(words), **given)
        return self.head(torch.relu(y)), state


LAYERS = {
    "LSTM": lambda: pylstm.torch.LSTM(I, H),
    "GRU": lambda: pylstm.torch.GRU(I, H, 2, bidirectional=True, batch_first=True),
    "mgu": lambda: pylstm.torch.Recurrent("mgu", I, H, learn_initial=True),
}


def losses(model, act, given):
    """The loss and all gradients."""
    torch.manual_seed(3)
    words = torch.randint(11, (T, B))
    model.zero_grad()
    out, _ = act(words, **given)
    loss = out.square().mean()
    loss.backward()
    return [loss.detach(), *(weight.grad.clone() for weight in model.parameters())]


@pytest.mark.parametrize("name", LAYERS)
def test_a_model_compiles_without_a_graph_break(name):
    torch._dynamo.reset()
    model = Model(LAYERS[name]())
    rows = B if name != "GRU" else T
    given = {"lengths": torch.tensor([7, 3, 0, 5] if rows == B else [4, 0, 3, 1, 2, 4, 4])}
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 1] = reset[5, 3] = True
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for options in ({}, given | {"reset": reset}):
        for a, b in zip(losses(model, model, options), losses(model, compiled, options), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    with torch.no_grad():
        words = torch.randint(11, (T, B))
        torch.testing.assert_close(compiled(words)[0], model(words)[0], rtol=0, atol=1e-6)


def test_any_number_of_steps_and_rows_compiles_once():
    torch._dynamo.reset()
    module, count = pylstm.torch.GRU(I, H, dropout=0.5, num_layers=2), []

    def backend(graph, inputs):
        count.append(graph)
        return graph

    compiled = torch.compile(module, fullgraph=True, backend=backend, dynamic=True)
    for steps, rows in ((7, 4), (9, 3), (5, 6)):
        torch.manual_seed(0)
        x = torch.randn(steps, rows, I)
        torch.manual_seed(1)
        y = compiled(x)[0]
        torch.manual_seed(1)
        assert torch.equal(y, module(x)[0])
    assert len(count) == 1


def arguments(module, tape=True):
    """For the operator `forward`."""
    dtype, engine = torch.float64, module._engine
    n = len(engine.leaves)
    x = torch.randn(T, B, I, dtype=dtype, requires_grad=tape)
    given = {
        f"initial.{name}": torch.randn(n, B, engine.widths[name], dtype=dtype, requires_grad=tape)
        for name in engine.states
    }
    given["blend.0.h.1"] = torch.rand(T, B, 1, dtype=dtype, requires_grad=tape)
    given["pre.0.h"] = torch.rand(T, B, H, dtype=dtype, requires_grad=tape)
    given["lengths"] = torch.tensor([7, 3, 0, 5])
    weights = [weight.detach().requires_grad_(tape) for weight in module.parameters()]
    return x, weights, list(given.values()), module._engine.key, " ".join(given), tape


@pytest.mark.parametrize("tape", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru", "indrnn"])
def test_opcheck(cell, tape):
    module = pylstm.torch.Recurrent(cell, I, H, dtype=torch.float64)
    found = torch.library.opcheck(door.forward_op, arguments(module, tape))
    assert set(found.values()) == {"SUCCESS"}


def test_gradcheck_of_the_operator():
    x, weights, given, key, passed, tape = arguments(pylstm.torch.LSTM(I, H, dtype=torch.float64))

    def function(x, *others):
        return tuple(door.forward_op(x, list(others[:4]), [*others[4:], given[-1]], key, passed, tape)[:-1])

    assert torch.autograd.gradcheck(function, (x, *weights, *given[:-1]))


def test_a_second_derivative_of_the_operator_is_refused():
    x, weights, given, *rest = arguments(pylstm.torch.LSTM(I, H, dtype=torch.float64))
    y = door.forward_op(x, weights, given, *rest)[0]
    (grad,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="gradients of gradients"):
        torch.autograd.grad(grad.sum(), x)


def test_an_exported_model_computes_the_same():
    module, x = pylstm.torch.LSTM(I, H).eval(), torch.randn(T, B, I)
    program = torch.export.export(module, (x,))
    assert torch.equal(program.module()(x)[0], module(x)[0])


def test_the_key_of_a_cell_that_is_not_registered_is_refused_elsewhere():
    class Own(pylstm.Cell):
        name, states, gates = "own_of_this_test", ("h",), {"a": "x+h"}

        def forward(z, prev):
            return {"h": pylstm.tanh(z.a)}

    module = pylstm.torch.Recurrent(Own, I, H)
    key = module._engine.key
    assert door.engine_of(key) is module._engine
    with pytest.raises(RuntimeError, match="Own is not registered"):
        door.engine_of(key.replace('"hidden_size": 5', '"hidden_size": 6'))
    registered = pylstm.torch.Recurrent("cornn", I, H, dt=0.01)._engine.key.replace(
        '"hidden_size": 5', '"hidden_size": 6'
    )
    assert door.engine_of(registered).description.cell.options["dt"] == 0.01


def test_what_records_dispatched_operators_sees_those_of_pylstm():
    module, x, other = pylstm.torch.LSTM(I, H, 2, bidirectional=True), torch.randn(T, B, I), torch.randn(T, B, I)
    recorded = make_fx(lambda x: module(x)[0])(x)
    torch.testing.assert_close(recorded(other), module(other)[0])


def around(model):
    """A model with a layer in it, and its input."""
    return torch.nn.Sequential(torch.nn.Linear(I, I), model).eval(), torch.randn(T, B, I)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_a_trace_is_a_program_of_torch(name):
    model, x = around(getattr(pylstm.torch, name)(I, H, 2, bidirectional=True, dropout=0.5, learn_initial=True))
    torch.nn.init.normal_(model[1].initial_h_l1_reverse)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(model, x), file)
    file.seek(0)
    x = torch.randn(T + 2, B - 1, I)
    torch.testing.assert_close(torch.jit.load(file)(x), model(x))


def test_a_model_goes_through_the_onnx_export_of_torch(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, x = around(pylstm.torch.LSTM(I, H, batch_first=True))
    path, axes = tmp_path / "model.onnx", {"x": {0: "B", 1: "T"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
    x = torch.randn(T - 1, B + 2, I)
    y = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(y), model(x)[0])


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_the_default_onnx_export_of_torch_sees_its_operators(name, monkeypatch):
    """It converts a program of `torch.export`, which in it has to have no operator of ours."""
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    model, x = around(getattr(pylstm.torch, name)(I, H, 2, bidirectional=True, batch_first=True))
    program = torch.export.export(model, (x,), strict=False)
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert called and not any("pylstm" in each for each in called)
    torch.testing.assert_close(program.module()(x), model(x))
    other = around(pylstm.torch.Recurrent("peephole", I, H))[0]
    only = r"torch.onnx.export record pylstm.torch.LSTM, GRU and RNN only"
    with pytest.raises(TypeError, match=only):
        torch.export.export(other, (x,), strict=False)
    with pytest.raises(TypeError, match=only):  # what tensors without values see, as those of strict=True
        other.to("meta")(x.to("meta"))


@pytest.mark.parametrize(
    "make", [lambda: pylstm.torch.Recurrent("peephole", I, H), lambda: pylstm.torch.LSTM(I, H, 2, dropout=0.5)]
)
def test_a_trace_of_what_torch_has_not_is_refused(make):
    with pytest.raises(TypeError, match=r"record pylstm.torch.LSTM, GRU and RNN only"):
        torch.jit.trace(make(), torch.randn(T, B, I))
