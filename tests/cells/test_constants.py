"""Constants of a cell: saved, never trained, not counted, set again by every initialiser; wrong ones are refused."""

import copy
import pickle
import types

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, contract, outer, repeat, row_sum, tanh
from pylstm.comparing import adding
from pylstm.comparing.sizing import count_params
from pylstm.layers.initialisers import glorot_uniform, orthogonal, uniform
from pylstm.layers.regularisers import drop_connect, l2_penalty
from pylstm.scaffold.package import files_of
from pylstm.scaffold.texts import execute


def legendre(size):
    """The A of Voelker et al. (2019), one Euler step of 1/50."""
    k = np.arange(size.memory)
    q = np.where(k[:, None] < k, -1.0, (-1.0) ** (k[:, None] - k + 1)) * (2 * k[:, None] + 1)
    return np.eye(size.memory) + q / 50


class Memory(Cell):
    states = ("h", "m")
    gates = {"u": "x+h", "a": "m", "g": "x+h+m"}
    biased = ("u", "g")
    sizes = {"memory": 6}
    widths = {"u": 1, "a": "memory", "m": "memory", "B": "memory"}
    constants = {"B": lambda size: (2 * np.arange(size.memory) + 1) / 50, "weight_m.a": legendre}

    def forward(z, p):
        return {"h": tanh(z.g), "m": z.a + p.B * z.u}


A, B = legendre(types.SimpleNamespace(memory=6)), (2 * np.arange(6) + 1) / 50


def layer(**options):
    return pylstm.Recurrent(Memory, 3, 5, dtype="float64", seed=0, **options)


def holds(each):
    return (each.params["weight_m"][:6] == A).all() and (each.params["B"] == B).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda each: None,
        lambda each: each.reset_parameters(7),
        lambda each: each.initialise("uniform", 9.0),
        lambda each: each.initialise(lambda one: one.params.flat.fill(3.0)),
        lambda each: [how(each, seed=0) for how in (orthogonal, uniform)],
        lambda each: glorot_uniform(each, "all", seed=0),
    ],
)
def test_initial_values(change):
    each = layer()
    change(each)
    assert holds(each) and each.params.constants == ("B",)


def test_training_leaves_them():
    net = pylstm.SequenceModel(Memory, 3, 5, 1, dtype="float64", seed=0)
    x = np.random.default_rng(0).normal(size=(16, 6, 3))
    before, at = net.layer.params.copy(), net.layer.params
    optimiser = pylstm.AdamW(net.params, lr=0.1, weight_decay=0.9)
    pylstm.fit(net, (x, x.sum(axis=(1, 2))), epochs=2, optimiser=optimiser, progress=False)
    assert holds(net.layer)
    assert (at["weight_m"][6:] != before["weight_m"][6:]).all() and (at["weight_x"] != before["weight_x"]).all()
    value, gradient = l2_penalty(at, 1.0)
    expected = sum((at[name] ** 2).sum() for name in ("weight_x", "weight_h", "bias")) + (at["weight_m"][6:] ** 2).sum()
    assert value == pytest.approx(expected) and not gradient["weight_m"][:6].any() and not gradient["B"].any()
    with drop_connect(net.layer, 0.5, ("weight_m",), seed=0) as factors:
        assert holds(net.layer) and (factors["weight_m"][6:] == 0).any()
    at.freeze()
    assert "B" not in at.frozen and at.trained_size == 0
    with pytest.raises(ValueError, match="'B' is a constant of the cell"):
        at.unfreeze("B")


def test_counts():
    each = layer()
    assert each.params.constant_size == 42 and each.params.trained_size == each.params.size - 42
    assert "84 parameters, 42 constants" in each.summary() and "constant" in each.summary()
    model = pylstm.SequenceModel(Memory, adding().input_size, 5, adding().output_size)
    assert count_params(Memory, adding(), 5) == sum(one.trained_size for one in model.params)


def test_stacks_copies_and_files(tmp_path):
    stack = pylstm.Stack([layer(), pylstm.Recurrent(Memory, 5, 4, dtype="float64", memory=3)])
    assert stack.params.constants == ("0.B", "1.B")
    pylstm.save(tmp_path / "stack", stack)
    for made in (copy.deepcopy(stack), pickle.loads(pickle.dumps(stack)), pylstm.load(tmp_path / "stack", cell=Memory)):
        assert made.params.constants == stack.params.constants
        assert made.params.trained_size == stack.params.trained_size
        np.testing.assert_array_equal(made.params.flat, stack.params.flat)


def test_files_of_another_constant_are_refused(tmp_path):
    pylstm.save(tmp_path / "layer", layer())
    other = type("Memory", (Memory,), {"constants": Memory.constants | {"B": 0.3}})
    with pytest.raises(ValueError, match="'B': rows 0 to 5 are a constant of the cell"):
        pylstm.load(tmp_path / "layer", cell=other)
    fewer = type("Memory", (Memory,), {"constants": {"B": Memory.constants["B"]}})
    with pytest.raises(ValueError, match="constants were"):
        pylstm.load(tmp_path / "layer", cell=fewer)
    with pytest.raises(ValueError, match="'weight_m': rows 0 to 5 are a constant of the cell"):
        layer().params["weight_m"] = np.zeros((11, 6))


def test_steps_gradients_and_streams():
    """Beside the recursion in NumPy; a constant has no gradient."""
    each, x = layer(), np.random.default_rng(1).normal(size=(7, 2, 3))
    run, W = each(x), each.params
    h, m = np.zeros((2, 5)), np.zeros((2, 6))
    for t in range(7):
        z = x[t] @ W["weight_x"].T + h @ W["weight_h"].T + W["bias"]
        h, m = np.tanh(z[:, 1:] + m @ W["weight_m"][6:].T), m @ A.T + B * z[:, :1]
        np.testing.assert_allclose(run.y[t], h, rtol=1e-12)
    grads = run.backward(run.y).params
    assert not grads["B"].any() and not grads["weight_m"][:6].any() and grads["weight_m"][6:].all()
    stream = each.stream(2)
    np.testing.assert_array_equal([stream.step(x[t]) for t in range(7)], run.y)
    assert pylstm.certify(Memory).ok


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weight_z": 1.0}, "not a matrix of this cell"),
        ({"B": "x"}, "must be a number, an array or a function"),
        ({"weight_m": 1.0, "weight_m.a": 1.0}, "overlap"),
        ({"h": 1.0}, "used twice"),
        ({"2": 1.0}, "not a valid name"),
        (("B",), "constants must be a dict"),
    ],
)
def test_wrong_declarations(wrong, message):
    widths = {name: width for name, width in Memory.widths.items() if name != "B"}
    with pytest.raises(TypeError, match=message):
        type("Wrong", (Memory,), {"constants": wrong, "widths": widths})


@pytest.mark.parametrize("value", [[1.0, 2.0], np.full(6, np.nan), lambda size: np.ones(size.memory + 1)])
def test_wrong_arrays(value):
    with pytest.raises(ValueError, match=r"constant 'B' must have shape \(6,\), got"):
        pylstm.Recurrent(type("Wrong", (Memory,), {"constants": {"B": value}}), 3, 5)


def test_a_name_in_initial_values_too():
    with pytest.raises(TypeError, match="leave it out of initial_values"):
        type("Wrong", (Memory,), {"initial_values": {"B": 1.0}})


def test_a_package_has_them(tmp_path, monkeypatch):
    """Functions and arrays, in the formula and in the derived twin, which needs a function across units."""
    (tmp_path / "memory_of.py").write_text(
        "import numpy as np\nfrom pylstm.cells import Cell, tanh\n\n\n"
        "def feed(size):\n    return (2 * np.arange(size.memory) + 1) / 50\n\n\n"
        "class Memory(Cell):\n    states = ('h', 'm')\n    gates = {'u': 'x+h', 'a': 'm', 'g': 'x+h+m'}\n"
        "    sizes = {'memory': 3}\n    widths = {'u': 1, 'a': 'memory', 'm': 'memory', 'B': 'memory'}\n"
        "    constants = {'B': feed, 'weight_m.a': np.diag([0.5, 0.25, 0.125])}\n\n"
        "    def forward(z, p):\n        return {'h': tanh(z.g), 'm': z.a + p.B * z.u}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from memory_of import Memory as written  # type: ignore[import-not-found]

    texts = files_of("memo", written)
    for place in ("formula", "memo"):
        made = execute(texts[f"pylstm_memo/{place}.py"], "memo", f"{place}.py")
        made.kernel = None
        one, other = (pylstm.Recurrent(cell, 2, 4, dtype="float64", seed=0) for cell in (made, written))
        assert made.contract.constants == ("B", "weight_m.a")
        np.testing.assert_array_equal(one.params.flat, other.params.flat)
        x = np.random.default_rng(0).normal(size=(5, 2, 2))
        np.testing.assert_allclose(one(x).y, other(x).y, rtol=1e-13)


def test_certification_takes_them_as_declared():
    """At all widths and in all ranges; with a domain anywhere in it; an array for other sizes is varied."""
    seen: dict[str, list[np.ndarray]] = {"b": [], "inside": [], "five": [], "free": []}

    class Told(Cell):
        states = ("h",)
        gates = {"a": "x+h"}
        params = ("free",)
        constants = {"b": lambda size: 1 / np.arange(1, size.hidden_size + 1), "inside": 0.3, "five": np.ones(5)}
        domain = {"inside": (0.1, 0.4)}

        def forward(z, p):
            for name, values in seen.items():
                values.append(np.array(getattr(p, name), complex).real)
            return {"h": p.b * tanh(z.a) * p.inside * p.five * p.free}

        def backward(d, y, p):
            scale, slope = p.b * p.inside * p.five, tanh(y.a)
            out = {name: d.h * scale * p.free * slope / getattr(p, name) for name in ("b", "inside", "five")}
            out["free"] = d.h * scale * slope
            return {"a": d.h * scale * p.free * (1 - slope**2)} | out

    assert pylstm.certify(Told).ok
    assert {each.shape[-1] for each in seen["b"]} > {5, 16, 35}
    for each in seen["b"]:
        np.testing.assert_allclose(
            each[..., :], np.broadcast_to(1 / np.arange(1, each.shape[-1] + 1), each.shape), 1e-3
        )
    assert all((each > 0.09).all() and (each < 0.41).all() for each in seen["inside"])
    assert np.ptp(np.concatenate([each.ravel() for each in seen["inside"]])) > 0.1
    assert any(np.ptp(each) > 0.1 for each in seen["five"]) and any((each[..., :5] == 1).all() for each in seen["five"])


class Mesa(Cell):
    """P = (P-' + k k')^-1 by Sherman and Morrison: sums cancel where k is large, and P is far out unless eye is 1."""

    states = ("h", "R", "S")
    gates = {"q": "x", "k": "x", "v": "x"}
    sizes = {"heads": 2, "key": 4, "value": 3}
    widths = dict.fromkeys("qk", "heads * key") | dict.fromkeys("vh", "heads * value")
    widths |= {"R": "heads * key * key", "S": "heads * key * value", "eye": "heads * key * key"}
    constants = {"eye": lambda size: np.tile(np.eye(size.key).ravel(), size.heads)}

    def forward(z, prev, p):
        P = p.eye - prev.R
        Pk = contract(P, z.k, "heads")
        P = P - outer(Pk / repeat(1 + row_sum(z.k * Pk, "heads"), "heads * key"), Pk, "heads")
        S = prev.S + outer(z.k, z.v, "heads")
        return {"h": contract(contract(P, z.q, "heads"), S, "heads"), "R": p.eye - P, "S": S}


def test_a_derived_twin_is_certified_where_sums_cancel():
    """Complex steps are believed in rows where the rounding of forward is what differences see."""
    certificate = pylstm.certify(Mesa)
    assert certificate.ok and "central differences" not in str(certificate.notes)
    made = execute(files_of("mesa", Mesa)["pylstm_mesa/mesa.py"], "mesa", "mesa.py")
    made.kernel = None
    assert pylstm.certify(made).ok


LAMBDAS = """import numpy as np
from pylstm.cells import Cell, contract, outer, tanh

START = 0.5


def scaled(array):
    return 2 * array


class Made(Cell):
    states = ("h", "S")
    gates = {"a": "x+h", "k": "x"}
    sizes = {"key": 3}
    widths = {"k": "key", "S": "hidden_size * key"}
    constants = {
        "b": lambda size: scaled(np.arange(size.hidden_size)) / 50, "c": lambda size: START,
        "eye": lambda size: np.eye(size.hidden_size)[
            :, 0
        ],
    }
    params = ("r",)
    initial_values = {"r": lambda rng, shape: rng.uniform(0, START, shape)}

    def forward(z, prev, p):
        S = 0.5 * prev.S + outer(z.k, tanh(z.a))
        return {"h": p.b * contract(z.k, S) + p.c * p.eye + p.r * prev.h, "S": S}
"""


def test_a_package_has_lambdas(tmp_path, monkeypatch):
    """In place, of several in a line the right one, with what they use; row functions as they were imported."""
    (tmp_path / "lambdas_of.py").write_text(LAMBDAS)
    monkeypatch.syspath_prepend(tmp_path)
    from lambdas_of import Made as written  # type: ignore[import-not-found]

    texts = files_of("made", written)
    formula = texts["pylstm_made/formula.py"]
    assert '"c": lambda size: START' in formula and formula.count("def scaled") == 1
    assert "from pylstm.cells import Cell, contract, outer, tanh\n" in formula and "row_functions" not in formula
    for place in ("formula", "made"):
        made = execute(texts[f"pylstm_made/{place}.py"], "made", f"{place}.py")
        made.kernel = None
        one, other = (pylstm.Recurrent(cell, 2, 4, dtype="float64", seed=0) for cell in (made, written))
        np.testing.assert_array_equal(one.params.flat, other.params.flat)
        assert (one.params["b"] == [0, 0.04, 0.08, 0.12]).all() and (one.params["c"] == 0.5).all()


def test_a_lambda_of_a_function_around_is_refused(tmp_path, monkeypatch):
    text = (
        "from pylstm.cells import Cell, tanh\n\n\ndef make(number):\n    class Around(Cell):\n        states = ('h',)\n"
    )
    text += "        gates = {'a': 'x'}\n        constants = {'b': lambda size: number}\n\n"
    text += "        def forward(z, p):\n            return {'h': p.b * tanh(z.a)}\n\n    return Around\n"
    (tmp_path / "around_of.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    from around_of import make  # type: ignore[import-not-found]

    with pytest.raises(
        ValueError, match="the value of 'b' is a lambda that cannot be written into a file: write a fun"
    ):
        files_of("around", make(3))


@pytest.mark.parametrize("form", ["numpy", "cython", "c", "latex", "markdown"])
def test_derivations_have_them(form, tmp_path, capsys):
    from pylstm.cli import main

    cell = "class Held(Cell):\n    states = ('h',)\n    gates = {'a': 'x+h'}\n    constants = {'rho': 0.3}\n"
    cell += "    def forward(z, prev, p):\n        return {'h': p.rho * prev.h + tanh(z.a)}\n"
    (tmp_path / "held.py").write_text(f"from pylstm.cells import Cell, tanh\n{cell}")
    assert main(["derive", f"{tmp_path / 'held.py'}:Held", "--format", form]) == 0
    printed = capsys.readouterr().out
    assert "rho" in printed
    assert form != "markdown" or "- constants: rho" in printed


def test_onnx(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from pylstm.interop import onnx

    each, x = pylstm.Recurrent(Memory, 3, 5, seed=0), np.random.default_rng(0).normal(size=(7, 2, 3)).astype("float32")
    onnx.export(each, tmp_path / "net.onnx")
    session = runtime.InferenceSession(tmp_path / "net.onnx")
    np.testing.assert_allclose(session.run(None, {session.get_inputs()[0].name: x})[0], each(x).y, rtol=0, atol=1e-6)


def test_torch():
    torch = pytest.importorskip("torch")
    import pylstm.torch

    module = pylstm.torch.Recurrent(Memory, 3, 5).double()
    assert not module.B_l0.requires_grad and module.weight_m_l0.requires_grad
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.9)
    for _ in range(2):
        module(torch.ones(4, 2, 3, dtype=torch.float64))[0].sum().backward()
        optimiser.step()
    made, x = module.to_pylstm(), np.ones((4, 2, 3))
    assert holds(made) and made.params.frozen == ()
    np.testing.assert_allclose(made(x).y, module(torch.from_numpy(x))[0].detach().numpy())


@pytest.mark.parametrize("name", ["B", "weight_m"])
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"memory": one}, lambda one: pylstm.Stack([one])])
def test_a_constant_that_was_changed_in_place_is_not_saved(name, wrap, tmp_path):
    one = layer()
    net = wrap(one)
    one.params[name][0] = 5
    said = f"the constant '{name}.*' of the cell 'memory' has been changed in this layer, by up to .*: put it back"
    with pytest.raises(ValueError, match=said):
        pylstm.save(tmp_path / "layer", net)
    assert not (tmp_path / "layer").exists()
    one.params["B"][...], one.params["weight_m"][:6] = B, A
    pylstm.save(tmp_path / "layer", net)
    pylstm.load(tmp_path / "layer", cell=Memory)
