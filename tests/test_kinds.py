"""Kinds of layers and models in files: those of plugins and of a user's own, saved and loaded by protocol."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest

import pylstm
from pylstm import plugins
from pylstm.described import Layer, Model
from pylstm.kinds import KINDS, Kinds
from pylstm.parameters import Parameters

SCALES = '''
import numpy as np
from pylstm.saving import Entries, Layer, Model
from pylstm import Parameters, SequenceModel

class Scale(Layer, kind="scales.scale"):
    """y = w x"""
    def __init__(self, features, power=1, *, dtype="float32"):
        self.features, self.power = features, power
        self._params = Parameters({"weight": (features,)}, dtype)
        self.params.flat[...] = 1

    @property
    def arguments(self):
        return {"features": self.features, "power": self.power}

    @classmethod
    def shapes(cls, given):
        given.only(("features", "power")).integer("power", 0)
        return {"weight": (given.integer("features"),)}

class Scaled(Model, kind="scales.scaled"):
    def __init__(self, scale, unit):
        self.parts, self.metadata = {"scale": scale}, {"unit": unit}

    @classmethod
    def from_parts(cls, parts, metadata):
        return cls(parts["scale"], metadata["unit"])
'''

PLUGIN = """
import pylstm

@pylstm.hookimpl
def pylstm_register_kinds(kinds):
    kinds.later("scales.scale", "scales_layers")
    kinds.later("scales.scaled", "scales_layers")
    {more}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs the plugin as a distribution; what it registers is taken back."""

    def install(more="pass"):
        (tmp_path / "scales_layers.py").write_text(SCALES)
        (tmp_path / "scales_plugin.py").write_text(textwrap.dedent(PLUGIN).format(more=more))
        info = tmp_path / "scales-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scales\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[pylstm]\nscales = scales_plugin\n")
        monkeypatch.syspath_prepend(tmp_path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "_plugins", plugins.Plugins())
        patch.setattr(KINDS, "_classes", dict(KINDS._classes))
        patch.setattr(KINDS, "_modules", dict(KINDS._modules))
        yield install
    for name in ("scales_layers", "scales_plugin"):
        sys.modules.pop(name, None)


def forget(monkeypatch):
    """As in a new process."""
    monkeypatch.setattr(plugins, "_plugins", plugins.Plugins())
    for kinds in (KINDS._classes, KINDS._modules):
        for kind in [each for each in kinds if each.startswith("scales")]:
            del kinds[kind]
    for name in ("scales_layers", "scales_plugin"):
        sys.modules.pop(name, None)


def make():
    from scales_layers import Scale, Scaled

    layer = Scale(3, power=2, dtype="float64")
    layer.params["weight"] = np.array([0.5, -2, 3])
    return layer, Scaled(layer, "mm")


def test_kinds_of_a_plugin_are_saved_and_loaded(install, tmp_path, monkeypatch):
    install()
    layer, model = make()
    pylstm.save(tmp_path / "layer", layer)
    pylstm.save(tmp_path / "dict", {"a": layer, "b": pylstm.GRU(2, 3)})
    pylstm.save(tmp_path / "model", model)
    forget(monkeypatch)
    assert "scales_layers" not in sys.modules
    again = pylstm.load(tmp_path / "model")  # neither cell= nor model=
    assert type(again).__name__ == "Scaled" and again.metadata == {"unit": "mm"}
    for found in (pylstm.load(tmp_path / "layer"), pylstm.load(tmp_path / "dict")["a"], again.parts["scale"]):
        assert (found.features, found.power, found.params.dtype) == (3, 2, "float64")
        assert found.params["weight"].tolist() == [0.5, -2, 3]
    assert pylstm.plugins.status()[-1].status == "ok"


def test_a_file_of_such_a_layer_is_not_trusted(install, tmp_path):
    from pylstm import files

    install()
    pylstm.save(tmp_path / "m", make()[0])
    header, tensors = files.read_file(tmp_path / "m")
    for change, message in [
        ({"features": 10**9}, "must be float64 of shape"),
        ({"features": 3.5}, "features must be an integer of at least 1"),
        ({"more": 1}, "more is unknown"),
    ]:
        says = {**header["parts"][""], "arguments": header["parts"][""]["arguments"] | change}
        files.write_file(tmp_path / "m", header | {"parts": {"": says}}, tensors)
        with pytest.raises(ValueError, match=message):
            pylstm.load(tmp_path / "m")


@pytest.mark.parametrize("kind", ["sequence_model", "char_model"])
def test_a_model_is_no_layer(kind, tmp_path):
    from pylstm import files

    pylstm.save(tmp_path / "m", pylstm.Linear(1, 1))
    header, tensors = files.read_file(tmp_path / "m")
    files.write_file(tmp_path / "m", header | {"parts": {"": header["parts"][""] | {"layer": kind}}}, tensors)
    with pytest.raises(ValueError, match=f"layer must be one of bidirectional, .*, got '{kind}'"):
        pylstm.load(tmp_path / "m")


def test_without_the_plugin_the_kind_is_named(install, tmp_path, monkeypatch):
    install()
    layer, model = make()
    pylstm.save(tmp_path / "layer", layer)
    pylstm.save(tmp_path / "model", model)
    forget(monkeypatch)
    monkeypatch.setenv("PYLSTM_DISABLE_PLUGINS", "all")
    with pytest.raises(ValueError, match=r"parts\..*layer must be one of .*linear.*, got 'scales.scale'"):
        pylstm.load(tmp_path / "layer")
    with pytest.raises(ValueError, match=r"got .scales\.scale."):
        pylstm.load(tmp_path / "model")
    assert "scales_layers" not in sys.modules


def test_a_broken_plugin_announces_nothing(install, monkeypatch):
    install(more="1 / 0")
    with pytest.warns(RuntimeWarning, match="pylstm_register_kinds failed: ZeroDivisionError"):
        plugins.registry()
    assert not [kind for kind in KINDS._modules if kind.startswith("scales")]


def test_a_plugin_cannot_take_a_kind(install):
    install(more='kinds.later("linear", "scales_layers")')
    with pytest.warns(RuntimeWarning, match="kind 'linear' is taken by pylstm.feedforward.linear"):
        plugins.registry()
    assert KINDS.find("linear") is pylstm.Linear


def test_a_kind_is_of_one_class():
    kinds = Kinds()
    kinds.register("a", int)
    with pytest.raises(ValueError, match=r"kind 'a' is taken by builtins.int: choose another one for builtins.str"):
        kinds.register("a", str)
    kinds.later("b", "json")
    with pytest.raises(ValueError, match="kind 'b' is taken by json: choose another one for the class of pickle"):
        kinds.later("b", "pickle")
    with pytest.raises(ValueError, match="kind 'b' is taken by json"):
        kinds.register("b", int)
    kinds.register("a", type("int", (), {"__module__": "builtins", "__qualname__": "int"}))  # defined anew
    assert kinds.find("a") is not int and kinds.find("c") is None


def test_every_class_describes_and_builds_itself(tmp_path):
    layers = [
        pylstm.Linear(3, 2, bias=False, dtype="float64"),
        pylstm.MLP(3, (4, 5), 2, "tanh"),
        pylstm.Embedding(4, 3),
        pylstm.RNN(3, 4),
        pylstm.Recurrent("cornn", 3, 4, dt=0.2, learn_initial=True),
        pylstm.GRU(3, 4, bidirectional=True),
        pylstm.LSTM(3, 4, num_layers=2, dropout=0.5),
    ]
    for layer in layers:
        path = tmp_path / type(layer).__name__
        pylstm.save(path, layer)
        found = pylstm.load(path)
        assert found.describe() == layer.describe() and found.kind == layer.kind
        assert type(found) is type(layer) and isinstance(found, KINDS.find(found.kind))


def test_layers_without_a_kind():
    class Bare(Layer):
        def __init__(self):
            self._params = Parameters({"w": (1,)})

    class Derived(pylstm.Linear):
        pass

    class Own(Model):
        parts = {}

    with pytest.raises(TypeError, match=r"Bare has no kind: class .*Bare\(Layer, kind=...\)"):
        pylstm.save("x", Bare())
    with pytest.raises(TypeError, match="Derived is a subclass of Linear, and load would return a Linear"):
        pylstm.save("x", Derived(1, 1))
    with pytest.raises(TypeError, match="your own model needs"):
        pylstm.save("x", Own())


@pytest.mark.parametrize("lacking", ["shapes", "arguments"])
def test_a_layer_that_a_file_cannot_build_is_refused_when_it_is_saved(lacking, tmp_path, monkeypatch):
    """Not when it is loaded: the file would be of no use."""
    monkeypatch.setattr(KINDS, "_classes", dict(KINDS._classes))  # the kind is taken back
    given = {
        "shapes": classmethod(lambda cls, given: {"weight": (given.integer("n"),)}),
        "arguments": property(lambda self: {"n": 3}),
    }
    del given[lacking]
    layer = type(Layer)("Bare", (Layer,), given, kind=f"bare_{lacking}")()
    layer._params = Parameters({"weight": (3,)})
    with pytest.raises(TypeError, match=f"Bare lacks `{lacking}`, from which a file builds it again"):
        pylstm.save(tmp_path / "bare.safetensors", layer)
    assert not list(tmp_path.iterdir())
