"""``pylstm new-cell --from``: what of a cell must not be lost."""

import importlib.util
import os
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm import cli
from pylstm.cells import Cell, tanh
from pylstm.cells.probe import difference, probe
from pylstm.cells.registry import Registry
from pylstm.plugins import registry
from pylstm.scaffold.package import files_of
from pylstm.scaffold.texts import execute

KEPT = ("Spike", "Rounded", "Two", "Decorated", "Numeric")
FILES = {
    ".gitignore", "README.md", "asv.conf.json", "benchmarks/__init__.py", "benchmarks/bench_mine.py", "meson.build",
    "pylstm_mine/__init__.py", "pylstm_mine/mine.py", "pyproject.toml", "tests/test_mine.py",
}  # fmt: skip


def new_cell(*arguments):
    return cli.main(["new-cell", *map(str, arguments)])


@pytest.fixture
def file(tmp_path):
    return Path(shutil.copy(Path(__file__).with_name("spikes.py"), tmp_path))


@pytest.fixture
def spikes(file):
    return load(file)


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_of(texts, name="mine"):
    return execute(texts[f"pylstm_{name}/{name}.py"], name, f"kept {name}")


def gradients(cell, **options):
    layer = pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=0, certified=False, **options)
    random = np.random.default_rng(0)
    x, aux = random.normal(size=(6, 2, 3)), {name: random.uniform(0.3, 0.9, (6, 2, 1)) for name in cell.contract.aux}
    run = layer(x, aux=aux)
    grads = run.backward(random.normal(size=run.y.shape))
    return [run.y, grads.x, grads.params.flat, *grads.initial.values()]


@pytest.mark.parametrize("name", KEPT)
def test_forward_and_backward_are_kept_as_they_were_written(name, spikes):
    cell = getattr(spikes, name)
    texts = files_of("mine", cell)
    assert set(texts) == FILES
    made = made_of(texts)
    assert not difference(probe(cell), made)
    assert made.kernel is None and made.contract.blocks == cell.contract.blocks
    for key in ("states", "gates", "params", "aux", "domain", "options", "initial_values", "reference", "__doc__"):
        assert getattr(made, key) == getattr(cell, key), key
    for one, other in zip(gradients(made), gradients(cell), strict=True):
        assert one.any()
        np.testing.assert_array_equal(one, other)
    assert "rate = [1, 2]" not in texts["pylstm_mine/mine.py"]  # a parameter of that name, not the list


def test_numpy_comes_along_and_a_method_of_its_is_not_ours(spikes):
    text = files_of("mine", spikes.Decorated)["pylstm_mine/mine.py"]
    assert "import numpy as np\n" in text and "from pylstm.cells import Cell\n" in text


def test_a_stage_that_is_a_formula_stays_one(spikes):
    made = made_of(files_of("mine", spikes.Two))
    assert list(made.formulas) == ["one"] and made.declared.keep == ("k",)


def test_options_are_kept(spikes):
    made = made_of(files_of("mine", spikes.Spike.with_options(threshold=-0.1)))
    assert made.options == {"threshold": -0.1}
    for one, other in zip(gradients(made, threshold=0.3), gradients(spikes.Spike, threshold=0.3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(gradients(made)[0], gradients(made, threshold=0.3)[0])


def test_a_registered_cell_is_kept(tmp_path, spikes, monkeypatch):
    monkeypatch.setattr(registry(), "_entries", dict(registry()._entries))
    registry().register(spikes.Spike)
    assert new_cell("mine", "--from", "spike", "--directory", tmp_path) == 0
    folder = tmp_path / "pylstm-mine"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == FILES


def run_tests_of(texts, monkeypatch, name="mine"):
    """The package's own tests, in this process."""
    made = types.ModuleType(f"pylstm_{name}")
    made.Mine = made_of(texts, name)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(pylstm.plugins, "registry", lambda: own)
    own = Registry()
    own.register(made.Mine)
    space = {}
    exec(compile(texts[f"tests/test_{name}.py"], "tests", "exec"), space)
    for key, test in space.items():
        if key.startswith("test_"):
            test()
    return space


@pytest.mark.parametrize("name", KEPT)
def test_the_tests_of_the_package_pass(name, spikes, monkeypatch):
    texts = files_of("mine", getattr(spikes, name))
    space = run_tests_of(texts, monkeypatch)
    assert all(np.abs(value).max() > 1e-3 for value in space["EXPECTED"].values())
    assert bool(space["DEPARTS"]) == (name != "Numeric")
    assert ("certified=False" in texts["README.md"]) == (name != "Numeric")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SHARP = 4.0", "SHARP = 4.1"),  # of the surrogate alone
        ("v=dv * left * (1 - prev.s)", "v=dv * left"),
        ("+ z.a", "+ 1.001 * z.a"),
        ("s=-dv * left * prev.v", "s=dv * left * prev.v"),
    ],
)
def test_the_tests_of_the_package_see_a_change(old, new, spikes, monkeypatch):
    texts = files_of("mine", spikes.Spike)
    assert old in texts["pylstm_mine/mine.py"]
    texts["pylstm_mine/mine.py"] = texts["pylstm_mine/mine.py"].replace(old, new)
    with pytest.raises(AssertionError):
        run_tests_of(texts, monkeypatch)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("OfItself", "OfItself.backward uses 'OfItself', a class of its own module"),
        ("OfTable", "OfTable.backward uses 'TABLE', which cannot be written"),
        ("OfFactory", "uses derivative of the function around it"),
        ("OfNothing", "the source of <lambda> cannot be read"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_name(source, message, file, tmp_path, capsys):
    assert new_cell("mine", "--from", f"{file}:{source}", "--directory", tmp_path) == 2
    assert message in capsys.readouterr().err
    assert set(os.listdir(tmp_path)) - {"__pycache__"} == {"spikes.py"}


def test_the_command_says_what_was_kept(file, tmp_path, capsys):
    assert new_cell("mine", "--from", f"{file}:Spike", "--directory", tmp_path) == 0
    out = capsys.readouterr().out
    assert "formula.py" not in out and "pylstm_mine/mine.py" in out and "certified=False" in out
    assert new_cell("mine", "--update", "--directory", tmp_path / "pylstm-mine") == 2
    assert "so nothing in it can be derived" in capsys.readouterr().err


def test_a_domain_comes_along_with_a_formula(spikes):
    class Fading(Cell):
        states = ("h",)
        gates = {"a": "x"}
        aux = ("dt",)
        domain = {"dt": (0, None)}

        def forward(z, prev, u):
            return {"h": prev.h * pylstm.exp(-u.dt) + tanh(z.a)}

    for name in ("formula", "mine"):
        texts = files_of("mine", Fading)
        assert execute(texts[f"pylstm_mine/{name}.py"], "mine", name).domain == {"dt": (0, None)}


def test_two_values_of_one_name_are_refused(spikes, tmp_path):
    """SHARP of the file of forward, and another one of the file of backward."""
    path = tmp_path / "other.py"
    path.write_text("SHARP = 1.0\n\n\ndef backward(d, y):\n    return dict(a=SHARP * d.h, h=0.5 * d.h)\n")
    other = load(path)

    class Mixed(spikes.Rounded):
        backward = other.backward

    with pytest.raises(ValueError, match=r"backward uses 'SHARP', which means something else in .*forward"):
        files_of("mine", Mixed)
    other.SHARP = spikes.SHARP
    assert not difference(probe(Mixed), made_of(files_of("mine", Mixed)))


def test_options_come_along():
    files = files_of("slow", registry().get("cornn").with_options(dt=0.02))
    for name in ("formula.py", "slow.py"):
        assert 'options = {"dt": 0.02, "gamma": 1.0, "epsilon": 1.0}' in files[f"pylstm_slow/{name}"]
    assert 'formula = "pylstm_slow.formula:Slow"' in files["pylstm_slow/slow.py"]


def test_a_package_can_be_the_source_of_another(monkeypatch):
    """Its twin has the options as numbers in it: the formula goes on, which reads them."""
    texts = files_of("slow", registry().get("cornn"))
    modules = {f"pylstm_slow.{key}": types.ModuleType(f"pylstm_slow.{key}") for key in ("formula", "slow")}
    for name, module in modules.items():
        module.Slow = execute(texts[name.replace(".", "/") + ".py"], "slow", name)
        monkeypatch.setitem(sys.modules, name, module)
    twin = modules["pylstm_slow.slow"].Slow
    twin.kernel = None
    again = files_of("again", twin)["pylstm_again/formula.py"]
    assert "o.dt" in again and execute(again, "again", "again").with_options(dt=0.5).options["dt"] == 0.5
