"""Options: numbers of a cell that belong to the layer, wherever a cell or a layer goes."""

import copy
import json
import pickle
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from pylstm_zoo import dynamical

import pylstm
from pylstm import certify
from pylstm.cells import Cell, Stage, tanh
from pylstm.cells.auditing.reference import forward
from pylstm.cells.contracts.options import changed, name_of
from pylstm.cells.formula import FormulaError, derive
from pylstm.plugins import registry
from sample_cells import Leaky

ZOO = {
    "cornn": ("cornn", {"dt": 0.03, "gamma": 2.7, "epsilon": 4.7}),
    "unicornn": ("unicornn", {"dt": 0.3, "alpha": 0.4}),
    "lem": ("lem", {"dt": 0.35}),
    "antisymmetric_rnn": ("antisymmetric", {"epsilon": 0.03}),
    "gated_antisymmetric_rnn": ("gated_antisymmetric", {"epsilon": 0.7}),
    "lipschitz_rnn": ("lipschitz", {"epsilon": 0.02}),
}


class ByHand(Cell):
    """A twin with a backward by hand."""

    states = ("h",)
    gates = {"a": "x+h"}
    options = {"scale": 2.0}

    def forward(z, o):
        h = o.scale * np.tanh(z.a)
        return {"h": h}

    def backward(d, y, o):
        return {"a": d.h * (o.scale - y.h * y.h / o.scale)}


class TwoStages(Cell):
    """The first stage by hand, the second a formula; both read an option."""

    states = ("h",)
    gates = {"r": "x+h", "n": "x+rh"}
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("update", gates=("n",)))
    options = {"leak": 0.25}

    def forward_reset(z, prev, o):
        return {"rh": o.leak * np.tanh(z.r) * prev.h}

    def backward_reset(d, y, prev, o):
        t = np.tanh(y.r)
        return {"r": o.leak * d.rh * prev.h * (1 - t * t), "h": o.leak * d.rh * t}

    def forward_update(z, prev, o):
        return {"h": (1 - o.leak) * prev.h + o.leak * tanh(z.n)}


def run(layer, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 2, layer.input_size)).astype(layer.dtype)
    run = layer(x)
    return run.y, run.backward(np.cos(run.y)).params.flat


def same(one, other):
    for got, expected in zip(run(one), run(other), strict=True):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ZOO)
def test_an_option_of_the_layer_is_the_cell_of_the_factory(cell, dtype):
    factory, options = ZOO[cell]
    layer = pylstm.Recurrent(cell, 3, 5, dtype=dtype, seed=1, **options)
    made = getattr(dynamical, factory)(**options)
    assert layer.cell is made is registry().get(cell).with_options(**options)
    assert getattr(dynamical, factory)() is registry().get(cell)
    same(layer, pylstm.Recurrent(made, 3, 5, dtype=dtype, seed=1))
    plain = pylstm.Recurrent(cell, 3, 5, dtype=dtype, seed=1)
    assert np.abs(run(plain)[0] - run(layer)[0]).max() > 1e-3
    assert certify(plain.cell, **options).ok


def test_options_are_what_the_equation_says():
    layer = pylstm.Recurrent("cornn", 3, 5, dtype="float64", seed=1, dt=0.03, gamma=2.7, epsilon=4.7)
    rng = np.random.default_rng(0)
    x, p = rng.normal(size=(1, 2, 3)), layer.params
    y, v = rng.normal(size=(2, 2, 5))
    a = x[0] @ p["weight_x"].T + y @ p["weight_y"].T + v @ p["weight_v"].T + p["bias"]
    v_new = v + 0.03 * (np.tanh(a) - 2.7 * y - 4.7 * v)
    final = layer(x, {"y": y, "v": v}).final
    np.testing.assert_allclose(final["v"], v_new, rtol=1e-12)
    np.testing.assert_allclose(final["y"], y + 0.03 * v_new, rtol=1e-12)


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (Leaky, {"rate": 0.1}),
        (Leaky, {"rounds": 3, "gated": True}),
        (ByHand, {"scale": 0.7}),
        (TwoStages, {"leak": 0.8}),
    ],
)
def test_every_form_of_a_cell_takes_options(cell, options):
    assert certify(cell, **options).ok
    assert certify(cell.with_options(**options)).ok
    layer = pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=0, **options)
    assert layer.cell.options == cell.options | options
    x = np.random.default_rng(1).normal(size=(5, 2, 3))
    expected = forward(layer.cell, layer.params, x).y
    np.testing.assert_allclose(layer(x).y, expected, rtol=1e-12, atol=1e-14)
    assert np.abs(pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=0)(x).y - expected).max() > 1e-2


def test_a_structure_that_depends_on_an_option_is_derived_for_it():
    counts = [derive(Leaky.with_options(rounds=n)).counts("forward")["mul"] for n in (1, 4)]
    assert counts[1] == 4 * counts[0]


def test_repr_registry_and_name_show_them():
    layer = pylstm.Recurrent("cornn", 3, 5, dt=0.01)
    assert repr(layer) == "Recurrent('cornn', 3, 5, dt=0.01, dtype='float32')"
    again = eval(repr(layer), {"Recurrent": pylstm.Recurrent})
    assert again.cell is layer.cell
    assert repr(layer.cell) == "<cell pylstm_zoo.dynamical.CoRNN with dt=0.01>"
    assert name_of(layer.cell) == "cornn(dt=0.01)"
    assert registry().get("cornn").contract.options == {"dt": 0.1, "gamma": 1.0, "epsilon": 1.0}
    assert layer.cell.contract.options == {"dt": 0.01, "gamma": 1.0, "epsilon": 1.0}
    assert changed(layer.cell) == {"dt": 0.01}


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dt": np.nan}, ValueError, "option dt must be finite, got nan"),
        ({"dt": 10**400}, ValueError, "option dt must be finite, got inf"),
        ({"dt": "0.1"}, TypeError, "option dt must be a number, got '0.1'"),
        ({"dt": True}, TypeError, "option dt must be a number, got True"),
        ({"dt": 1j}, TypeError, "option dt must be a number"),
        ({"dt": None}, TypeError, "option dt must be a number"),
        ({"dt": -1}, ValueError, "option dt must be at least 1e-06, got -1"),
        ({"dt": 0}, ValueError, "option dt must be at least 1e-06, got 0"),
        ({"dt": 1e300}, ValueError, r"option dt must be at most 1, got 1e\+300"),
        ({"gamma": -0.5}, ValueError, "option gamma must be at least 0, got -0.5"),
        ({"epsilon": 1e38}, ValueError, r"option epsilon must be at most 1000, got 1e\+38"),
        ({"step": 0.1}, TypeError, "its extra sizes: none; its options: dt=0.1, gamma=1.0, epsilon=1.0"),
    ],
)
def test_wrong_options_are_refused(options, error, words):
    with pytest.raises(error, match=words.replace("(", r"\(")):
        pylstm.Recurrent("cornn", 3, 5, **options)


def test_options_keep_their_kind():
    with pytest.raises(TypeError, match=r"option rounds must be an integer, got 2\.0"):
        Leaky.with_options(rounds=2.0)
    with pytest.raises(TypeError, match="option gated must be True or False, got 1"):
        Leaky.with_options(gated=1)
    with pytest.raises(TypeError, match=r"no option 'rat' \(its options: rate=0.5, rounds=1, gated=False\)"):
        Leaky.with_options(rat=1)
    made = Leaky.with_options(rate=np.float32(0.25), rounds=np.int64(2), gated=np.bool_(True))
    assert [type(value) for value in made.options.values()] == [float, int, bool]
    assert Leaky.with_options(rate=1) is Leaky.with_options(rate=1.0)
    assert Leaky.with_options(rate=-0.0) is not Leaky.with_options(rate=0.0)


def test_one_class_for_one_set_of_values():
    slow = Leaky.with_options(rate=0.1)
    assert slow is Leaky.with_options(rate=0.1) is Leaky.with_options(gated=True).with_options(gated=False, rate=0.1)
    assert slow.with_options(rate=0.5) is Leaky
    found = []
    threads = [threading.Thread(target=lambda: found.append(Leaky.with_options(rate=0.77))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(found)) == 1


def test_layers_and_cells_are_copied_and_pickled_with_them():
    layer = pylstm.Recurrent("cornn", 3, 5, dtype="float64", seed=2, dt=0.03)
    stack = pylstm.Recurrent(Leaky, 3, 5, num_layers=2, bidirectional=True, dtype="float64", seed=2, rate=0.2)
    for each in (layer, stack):
        for other in (pickle.loads(pickle.dumps(each)), copy.deepcopy(each), copy.copy(each)):
            assert repr(other) == repr(each)
            x = np.random.default_rng(1).normal(size=(4, 2, 3))
            assert np.array_equal(other(x).y, each(x).y)
    assert pickle.loads(pickle.dumps(layer.cell)) is layer.cell
    assert pickle.loads(pickle.dumps(Leaky)) is Leaky


def test_pickles_are_read_by_another_process(tmp_path):
    layer = pylstm.Recurrent("lem", 3, 5, dtype="float64", seed=2, dt=0.3)
    (tmp_path / "layer").write_bytes(pickle.dumps(layer))
    code = "import pickle, sys; print(repr(pickle.load(open(sys.argv[1], 'rb'))))"
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "layer")], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert out.stdout.strip() == "Recurrent('lem', 3, 5, dt=0.3, dtype='float64')"


def test_files_hold_them(tmp_path):
    path = tmp_path / "net.safetensors"
    layers = {
        "one": pylstm.Recurrent("cornn", 3, 5, dtype="float64", seed=2, dt=0.03),
        "deep": pylstm.Recurrent("lem", 3, 5, num_layers=2, bidirectional=True, dtype="float64", seed=2, dt=0.2),
    }
    pylstm.save(path, layers)
    for name, layer in pylstm.load(path).items():
        assert repr(layer) == repr(layers[name])
        x = np.random.default_rng(1).normal(size=(4, 2, 3))
        assert np.array_equal(layer(x).y, layers[name](x).y)


def test_a_file_holds_the_defaults_too(tmp_path):
    """A default that is changed later must not change what was trained."""
    pylstm.save(tmp_path / "net", pylstm.Recurrent("cornn", 3, 5))
    from pylstm.saving import read_file

    header, _ = read_file(tmp_path / "net")
    assert header["parts"][""]["options"] == {"dt": 0.1, "gamma": 1.0, "epsilon": 1.0}


def test_models_and_estimators_take_them(tmp_path):
    pytest.importorskip("sklearn")
    model = pylstm.SequenceModel("cornn", 2, 5, 1, dt=0.02, seed=1)
    assert model.layer.cell.options["dt"] == 0.02
    x, y = np.random.default_rng(0).normal(size=(20, 5, 1)), np.arange(20) % 2
    net = pylstm.SequenceClassifier("cornn", 4, cell_options={"dt": 0.4}, epochs=1, random_state=0).fit(x, y)
    pylstm.save(tmp_path / "net", net)
    again = pylstm.load(tmp_path / "net")
    assert again.model_.layer.cell.options["dt"] == 0.4
    assert np.array_equal(again.predict_proba(x), net.predict_proba(x))


def test_compare_tells_them_apart():
    from pylstm.comparing.comparison import Settings, compare

    cells = ["cornn", dynamical.cornn(dt=0.5)]
    results = compare(cells, "adding", Settings(params=500, steps=1, seeds=1))
    assert [each.cell for each in results] == ["cornn", "cornn(dt=0.5)"]
    assert results[0].traces[0].losses != results[1].traces[0].losses


def test_commands_show_them(capsys):
    from pylstm.cli import main

    assert main(["cells", "--json"]) == 0
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["cornn"]["options"] == {"dt": 0.1, "gamma": 1.0, "epsilon": 1.0}
    assert found["lstm"]["options"] == {}
    assert main(["cells"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("cornn"))
    assert "dt=0.1 gamma=1.0 epsilon=1.0" in line
    assert main(["cells"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 210  # of long lists the first words, and how many more: --json has all
    assert re.search(r"^alif .* decay=0.95 threshold=1.0 \+3 +(registered|certified)$", "\n".join(lines), re.M)
    for kind in ("markdown", "latex", "numpy", "cython", "c"):
        assert main(["derive", "cornn", "--format", kind]) == 0
        assert "dt=0.1, gamma=1.0, epsilon=1.0" in capsys.readouterr().out, kind


def test_declarations_are_checked():
    def make(**body):
        def forward(z, o):
            return {"h": tanh(z.a)}

        return type("Odd", (Cell,), {"states": ("h",), "gates": {"a": "x+h"}, "forward": forward} | body)

    def without(z):
        return {"h": tanh(z.a)}

    with pytest.raises(TypeError, match="option 'k' has the name of one of its sizes"):
        make(options={"k": 1}, sizes={"k": 3})
    with pytest.raises(TypeError, match="option 'seed' has the name of an argument of every layer"):
        make(options={"seed": 1})
    with pytest.raises(TypeError, match="option 'not a name' does not have a valid name"):
        make(options={"not a name": 1})
    with pytest.raises(TypeError, match="option dt must be a number, got 'fast'"):
        make(options={"dt": "fast"})
    with pytest.raises(TypeError, match="option dt must be finite"):
        make(options={"dt": np.inf})
    with pytest.raises(TypeError, match="no function of it asks for `o`: write def forward"):
        make(options={"dt": 1.0}, forward=without)


def test_a_formula_that_asks_for_another_option_says_which_there_are():
    class Wrong(Cell):
        states = ("h",)
        gates = {"a": "x+h"}
        options = {"dt": 0.1}

        def forward(z, o):
            return {"h": o.step * tanh(z.a)}

    with pytest.raises(FormulaError, match=r"o\.step does not exist: o has dt"):
        derive(Wrong)


def test_a_subclass_with_other_defaults_computes_with_them():
    class Slow(Leaky):
        options = {"rate": 0.1, "rounds": 1, "gated": False}

    x = np.random.default_rng(1).normal(size=(4, 2, 3))
    slow, leaky = (pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=0) for cell in (Slow, Leaky))
    assert np.array_equal(slow(x).y, pylstm.Recurrent(Leaky, 3, 4, dtype="float64", seed=0, rate=0.1)(x).y)
    assert np.abs(slow(x).y - leaky(x).y).max() > 1e-2
    assert type(Slow) is type(Leaky)
    assert repr(pylstm.Recurrent(Slow, 3, 4, rate=0.5)) == "Recurrent('slow', 3, 4, rate=0.5, dtype='float32')"


def test_a_kernel_is_for_the_options_as_declared():
    """Its numbers are compiled in: with others the twin runs."""

    class Compiled(Cell):
        name = "compiled with options"
        states = ("h",)
        gates = {"a": "x+h"}
        options = {"scale": 1.0}
        kernel = registry().get("rnn_tanh").kernel

        def forward(z, o):
            h = o.scale * np.tanh(z.a)
            return {"a": h, "h": h}

        def backward(d, y, o):
            return {"a": d.h * (o.scale - y.h * y.h / o.scale)}

    assert certify(Compiled).ok
    other = Compiled.with_options(scale=0.5)
    assert Compiled.kernel is not None and other.kernel is None
    x = np.random.default_rng(1).normal(size=(4, 2, 3))
    layer = pylstm.Recurrent(other, 3, 4, dtype="float64", seed=0)
    np.testing.assert_allclose(layer(x).y, forward(other, layer.params, x).y, rtol=1e-12)
    assert certify(Compiled, scale=0.5).ok

    class Half(Compiled):
        options = {"scale": 0.5}

    assert Half.kernel is None


def test_a_kernel_without_a_twin_refuses_other_options():
    class Bare(Cell):
        name = "kernel only"
        states = ("h",)
        gates = {"a": "x+h"}
        options = {"scale": 1.0}
        kernel = registry().get("rnn_tanh").kernel

        def forward(z, o):
            return {"h": o.scale * np.tanh(z.a)}

        backward = None

    with pytest.raises(TypeError, match="has neither a kernel nor backward"):
        pylstm.Recurrent(Bare, 3, 4, scale=0.5)
