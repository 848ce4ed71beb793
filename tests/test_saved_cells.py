"""What is loaded computes what was trained: cells of scripts, of factories, changed cells, models of users."""

import numpy as np
import pytest

import pylstm
from pylstm import files
from pylstm.cells import Cell, tanh, where
from pylstm.cells.probe import difference, probe
from pylstm.plugins import registry


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.fixture
def registered():
    """Registers cells for one test."""
    entries = dict(registry()._entries)
    yield pylstm.register
    registry()._entries = entries


def leaky(rate, name="leaky of a script"):
    """A factory with a constant that no file can know."""

    class LeakyOfScript(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z, prev):
            return {"h": prev.h + rate * (tanh(z.a) - prev.h)}

    LeakyOfScript.name = LeakyOfScript.declared.__dict__["name"] = name
    return LeakyOfScript


class ByHand(Cell):
    """A straight-through backward, which no formula has."""

    name = "by hand"
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return {"h": np.sign(z.a) * np.abs(np.tanh(z.a))}

    def backward(d, y):
        return {"a": d.h * (1 - y.h * y.h)}


def test_cells_of_a_script(path):
    Leaky = leaky(0.3)
    layer = pylstm.Recurrent(Leaky, 3, 4, dtype="float64", seed=0)
    pylstm.save(path, layer)
    with pytest.raises(LookupError, match=r"'leaky of a script'.*not registered.*load\(path, cell=...\)") as caught:
        pylstm.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    for cell in (Leaky, [ByHand, Leaky][1:], (Leaky,), leaky(0.3)):
        assert np.array_equal(pylstm.load(path, cell=cell)(x).y, layer(x).y)
    with pytest.raises(ValueError, match="no layer of the cell 'by hand', which was passed as cell="):
        pylstm.load(path, cell=[Leaky, ByHand])
    with pytest.raises(TypeError, match="cell= takes a class, or a list of them"):
        pylstm.load(path, cell="lstm")


@pytest.mark.parametrize("rate", [0.3000001, 0.29, -0.3, 0.0])
def test_a_cell_of_a_factory_with_another_constant_is_refused(path, registered, rate):
    pylstm.save(path, pylstm.Recurrent(leaky(0.3), 3, 4))
    registered(leaky(rate))
    with pytest.raises(ValueError, match=r"has changed since: forward h has other values.*load\(path, cell=...\)"):
        pylstm.load(path)
    assert pylstm.load(path, cell=leaky(0.3)).cell.name == "leaky of a script"


def test_a_backward_that_has_changed_is_refused(path):
    pylstm.save(path, pylstm.Recurrent(ByHand, 3, 4))
    assert pylstm.load(path, cell=ByHand).cell is ByHand

    class Other(ByHand):
        name = "by hand"

        def backward(d, y):
            return {"a": d.h}

    Other.forward = ByHand.forward
    with pytest.raises(ValueError, match="has changed since: backward a has other values"):
        pylstm.load(path, cell=Other)


def test_the_same_values_written_in_another_way_are_the_same_cell(path):
    class Rewritten(Cell):
        name = "leaky of a script"
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z, prev):
            return {"h": 0.7 * prev.h + 0.3 * tanh(z.a)}

    pylstm.save(path, pylstm.Recurrent(leaky(0.3), 3, 4))
    assert pylstm.load(path, cell=Rewritten).cell is Rewritten


def test_two_cells_of_one_name_are_not_saved(path):
    layers = {"one": pylstm.Recurrent(leaky(0.3), 3, 4), "two": pylstm.Recurrent(leaky(0.4), 3, 4)}
    with pytest.raises(ValueError, match="two different cells have the name 'leaky of a script'"):
        pylstm.save(path, layers)
    assert not path.exists()


@pytest.mark.parametrize("dt", [0.01, 0.02])
def test_a_file_that_does_not_say_what_its_cell_computes_is_refused(path, dt):
    pylstm.save(path, pylstm.Recurrent("cornn", 3, 4, seed=0, dt=dt))
    header, tensors = files.read_file(path)
    del header["parts"][""]["probe"]
    files.write_file(path, header, tensors)
    with pytest.raises(ValueError, match=r"probe is missing"):
        pylstm.load(path)


@pytest.mark.parametrize("edge", [2.5, 4, 7, 15, 50])
@pytest.mark.parametrize("what", ["z.a", "prev.h"])
def test_a_cell_that_has_changed_far_out_is_refused(path, edge, what):
    def make(factor):
        body = {"name": "far", "states": ("h",), "gates": {"a": "x+h"}}
        value = "z.a" if what == "z.a" else "prev.h"
        names = {"where": where}
        exec(
            "def forward(z, prev):\n"
            f"    return {{'h': 0.5 * prev.h + 0.3 * z.a * where(abs({value}) > {edge}, {factor}, 1.0)}}\n",
            names,
        )
        return type(Cell)("Far", (Cell,), body | {"forward": names["forward"]})

    pylstm.save(path, pylstm.Recurrent(make(1.0), 3, 4))
    assert pylstm.load(path, cell=make(1.0)).hidden_size == 4
    with pytest.raises(ValueError, match="the cell 'far' has changed since: forward h has other values"):
        pylstm.load(path, cell=make(0.5))


@pytest.mark.parametrize("name", registry().names())
def test_every_cell_has_values_that_tell_it(name):
    cell = registry().get(name)
    values = probe(cell)
    assert difference(values, cell) == ""
    finite = [value for row in values.values() for value in row if value is not None]
    assert len(finite) > len([value for row in values.values() for value in row]) / 2 and any(finite)
    assert all(f"forward {state}" in values for state in cell.contract.states)
    for changed, row in values.items():
        at = next((k for k, value in enumerate(row) if value is not None), 0)
        wrong = [*row[:at], 0.5 if row[at] is None else row[at] + 0.01, *row[at + 1 :]]
        assert difference(values | {changed: wrong}, cell) == changed


def test_cells_with_options_have_values_of_their_own():
    cell = registry().get("cornn")
    assert difference(probe(cell), cell.with_options(dt=0.1001)).startswith("forward")


class Net:
    """A model of layers."""

    def __init__(self, body, head, power=2):
        self.body, self.head, self.power = body, head, power

    @property
    def parts(self):
        return {"body": self.body, "head": self.head}

    @property
    def metadata(self):
        return {"power": self.power}

    @classmethod
    def from_parts(cls, parts, metadata):
        return cls(parts["body"], parts["head"], metadata["power"])

    def __call__(self, x):
        return self.head(self.body(x).y).y ** self.power


def test_models_of_users(path):
    from pylstm.feedforward.linear import Linear

    net = Net(pylstm.LSTM(3, 4, num_layers=2, seed=0), Linear(4, 2, seed=1), power=3)
    pylstm.save(path, net)
    with pytest.raises(ValueError, match=r"holds a Net of module .*: load\(path, model=Net\) with that class"):
        pylstm.load(path)
    again, x = pylstm.load(path, model=Net), np.random.default_rng(0).normal(size=(5, 2, 3)).astype("f4")
    assert type(again) is Net and np.array_equal(again(x), net(x))
    with pytest.raises(ValueError, match="model= must be that class"):
        pylstm.load(path, model=pylstm.SequenceModel)
    pylstm.save(path, net.body)
    with pytest.raises(ValueError, match="leave out model=, which is for your own models"):
        pylstm.load(path, model=Net)


def test_models_of_users_are_checked(path):
    class NotJson(Net):
        metadata = {"power": {1, 2}}

    class NoParts(Net):
        parts = None

    class Nested(Net):
        parts = {"a.b": pylstm.LSTM(3, 4)}

    for kind, error, message in (
        (NotJson, TypeError, r"metadata\.power must be a dict with texts as keys, .* got set"),
        (NoParts, TypeError, "parts must be a dict, got NoneType"),
        (Nested, ValueError, r"the name of a layer must be .*'a\.b'"),
    ):
        with pytest.raises(error, match=message):
            pylstm.save(path, kind(pylstm.LSTM(3, 4), pylstm.GRU(4, 2)))
        assert not path.exists()


def test_subclasses_do_not_come_back_as_something_else(path):
    class Doubled(pylstm.Recurrent):
        def __call__(self, x, **given):
            return super().__call__(2 * np.asarray(x), **given)

    class Clipped(pylstm.SequenceModel):
        def predict(self, x):
            return np.clip(super().predict(x), 0, 1)

    with pytest.raises(TypeError, match="Doubled is a subclass of Recurrent, and load would return a Recurrent"):
        pylstm.save(path, Doubled("gru", 3, 4))
    model = Clipped("gru", 2, 3, 1, seed=0)
    pylstm.save(path, model)
    x = np.random.default_rng(0).normal(size=(4, 5, 2)).astype("f4")
    with pytest.raises(ValueError, match=r"holds a .*Clipped"):
        pylstm.load(path)
    assert np.array_equal(pylstm.load(path, model=Clipped).predict(x), model.predict(x))


def test_options_of_a_class_stay_for_another_fit(path):
    """The name of the cell alone would train the default at the next fit."""
    from pylstm.forecasting.forecast_model import ForecastModel

    slow = registry().get("cornn").with_options(dt=0.5)
    model = ForecastModel(slow, 4, window=8, seed=0)
    model.fit(np.sin(np.arange(40.0)), epochs=1)
    pylstm.save(path, model)
    again = pylstm.load(path)
    again.fit(np.sin(np.arange(40.0)), epochs=1)
    assert again.net.layer.cell is slow
    assert np.array_equal(again.predict(3), model.predict(3))
