"""What `save` refuses because the file would not bring it back, and what it lets through."""

from __future__ import annotations

import copy
import functools
import random

import numpy as np
import pytest

import pylstm
from pylstm.layers import Bidirectional, Stack

pytestmark = pytest.mark.usefixtures("own_kinds")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors"


def x_of(layer):
    return np.random.default_rng(0).normal(size=(5, 2, 3)).astype(layer.dtype)


def other_default_of_an_option(**given):
    class Hr(pylstm.RNN, kind="hr"):
        def __init__(self, input_size, hidden_size, nonlinearity="relu", **options):
            super().__init__(input_size, hidden_size, nonlinearity=nonlinearity, **options)

    return Hr(3, 4, seed=0, **given)


def other_default(base, name, value, *sizes, **given):
    class Other(base, kind="other"):
        def __init__(self, *sizes, **options):
            options.setdefault(name, value)
            super().__init__(*sizes, **options)

    return Other(*sizes, seed=0, **given)


def other_size():
    class Twice(pylstm.LSTM, kind="twice"):
        def __init__(self, input_size, hidden_size, **options):
            super().__init__(input_size, 2 * hidden_size, **options)

    return Twice(3, 4)


def other_description():
    class Says(pylstm.LSTM, kind="says"):
        def describe(self):
            return super().describe() | {"scale": 3}

    return Says(3, 4)


def scaled(base, own=(), **setting):
    class Scaled(base, kind="scaled"):
        __slots__ = own
        scale = None if own else 1.0

    if own:
        del Scaled.scale
    thing = Scaled.of(pylstm.LSTM(3, 4), 2) if base is pylstm.SequenceModel else Scaled(3, 4)
    for name, value in setting.items():
        setattr(thing, name, value)
    return thing


LOST = {
    "default of an option": (
        lambda: other_default_of_an_option(nonlinearity="tanh"),
        "cell='rnn_relu', and it has 'rnn",
    ),
    "default of a cell's option": (
        lambda: other_default(
            pylstm.Recurrent, "dt", 0.3, "cornn", 3, 4, dt=pylstm.Recurrent("cornn", 3, 4).cell.options["dt"]
        ),
        "options=",
    ),
    "default of learned states": (
        lambda: other_default(pylstm.LSTM, "learn_initial", True, 3, 4, learn_initial=False),
        "learn_initial=|missing|must have|unexpected",
    ),
    "default of another cell": (lambda: other_default(pylstm.GRU, "reset_after", False, 3, 4, reset_after=True), "."),
    "size": (other_size, "."),
    "description": (other_description, "scale is unknown"),
    "attribute": (
        lambda: scaled(pylstm.LSTM, scale=5.0),
        "does not hold scale of .*Scaled, and load would return an object without it",
    ),
    "array": (lambda: scaled(pylstm.GRU, mask=np.array([1.0, np.nan])), "does not hold mask of"),
    "slot": (lambda: scaled(pylstm.LSTM, ("mask",), mask=3), "does not hold mask of"),
    "of a head": (lambda: scaled(pylstm.Linear, scale=2), "does not hold scale of"),
    "of a model": (lambda: scaled(pylstm.SequenceModel, scale=2), "does not hold scale of"),
}


@pytest.mark.parametrize("make, why", LOST.values(), ids=LOST)
def test_what_a_file_would_not_bring_back_is_refused(make, why, path):
    """Alone and inside others; the file that was there before stays."""
    thing = make()
    pylstm.save(path, pylstm.Linear(2, 2, seed=1))
    before = path.read_bytes()
    things, inner = [thing], [copy.deepcopy(thing) for _ in range(3)]
    if hasattr(thing, "recurrents"):
        things += [{"a": inner[0]}, Stack([inner[1], pylstm.GRU(thing.output_size, 2)])]
        things += [Bidirectional(inner[2], pylstm.GRU(3, 2))]
    for each in things:
        with pytest.raises(TypeError, match=f"^save: .*{why}" if why != "." else "^save: "):
            pylstm.save(path, each)
        assert path.read_bytes() == before


def test_own_attributes_that_come_back(path):
    """Those of the class, and those that the constructor sets."""

    class Own(pylstm.LSTM, kind="own"):
        scale = 2.0

        def __init__(self, *sizes, **options):
            super().__init__(*sizes, **options)
            self.names, self.mask, self.rate = ["h", "c"], np.arange(3.0), {"a": (1, None)}

    pylstm.save(path, Stack([Own(3, 4), pylstm.GRU(4, 5)]))
    found = pylstm.load(path).layers[0]
    assert type(found) is Own and found.names == ["h", "c"] and found.rate == {"a": (1, None)}


def gated(**change):
    class Gated(pylstm.LSTM, kind="gated"):
        def __init__(self, *sizes, **options):
            super().__init__(*sizes, **options)
            self.gate, self.scale = pylstm.Linear(3, 3, seed=0), 1.0

    thing = Gated(3, 4, seed=1)
    if "gate" in change:
        thing.gate.params.flat[...] += 1
    if "deleted" in change:
        del thing.scale
    if "other" in change:
        thing.scale = -0.0
    return thing


def private_slot():
    class Held(pylstm.LSTM, kind="held"):
        __slots__ = ("__mask",)

        def set(self):
            self.__mask = 3
            return self

    return Held(3, 4).set()


def failing(error):
    class Fails(pylstm.GRU, kind="fails"):
        ready = True

        def __init__(self, *sizes, **options):
            if not Fails.ready:
                raise error("not again")
            super().__init__(*sizes, **options)

    thing = Fails(3, 4)
    Fails.ready = False
    return thing


@pytest.mark.parametrize(
    "make, why",
    [
        (lambda: gated(gate=True), "does not hold gate of"),
        (lambda: gated(deleted=True), "does not hold scale of .*an object with it"),
        (lambda: gated(other=True), "does not hold scale of .*another value"),
        (private_slot, "does not hold _Held__mask of"),
        *(
            (lambda error=each: failing(error), f"load would fail: {each.__name__}")
            for each in (RuntimeError, KeyError)
        ),
    ],
)
def test_layers_within_and_constructors_that_fail(make, why, path):
    with pytest.raises(TypeError, match=f"^save: .*{why}"):
        pylstm.save(path, make())
    assert not path.exists()


class Counted(pylstm.LSTM):
    transient = ("calls",)
    calls = 0

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.first = self.params["weight_x"][:1]
        self.scale = lambda x: x

    @functools.cached_property
    def total(self):
        return float(self.params.flat.sum())

    def __call__(self, *given, **options):
        self.calls += 1
        return super().__call__(*given, **options)


class Gate(pylstm.saving.Layer, kind="gate of the tests"):
    def __init__(self, width, dtype="float32"):
        self.width, self._params = np.int64(width), pylstm.Parameters({"gain": (width,)}, dtype)

    arguments = property(lambda self: {"width": int(self.width)})
    shapes = classmethod(lambda cls, given: {"gain": (given.integer("width"),)})

    def __call__(self, x):
        self.last = x
        return self.params["gain"] * x


def test_what_comes_back_or_matters_to_nobody_is_saved(path):
    counted = type("Counted", (Counted,), {}, kind="counted")
    tower, plain = type("Tower", (Stack,), {}, kind="tower"), type("Plain", (pylstm.LSTM,), {}, kind="plain")
    layer, gate = counted(3, 4, seed=1), Gate(3)
    layer(x_of(layer)), gate(np.ones(3)), layer.total
    layer.params.flat[...] *= 2
    high = tower([plain(3, 4, seed=1, certified=False), pylstm.GRU(4, 5)]).eval()
    before = np.random.get_state()[1].copy()
    pylstm.save(path, {"layer": layer, "gate": gate, "tower": high, "other": counted(3, 4)})
    assert np.array_equal(np.random.get_state()[1], before)
    found = pylstm.load(path, certified=False)
    assert np.array_equal(found["layer"](x_of(layer)).y, layer(x_of(layer)).y) and found["layer"].calls == 1
    assert type(found["tower"]) is tower and type(found["gate"]) is Gate


def test_a_constructor_that_draws_leaves_the_next_draw(path):
    class Drawn(pylstm.LSTM, kind="drawn"):
        transient = ("noise",)

        def __init__(self, *sizes, **options):
            super().__init__(*sizes, **options)
            self.noise = np.random.normal(), random.random()

    layer = Drawn(3, 4)
    before = np.random.get_state()[2], random.getstate()
    pylstm.save(path, layer)
    assert (np.random.get_state()[2], random.getstate()) == before


def test_fitted_estimators_and_models_of_derived_classes(path):
    x = np.random.default_rng(0).normal(size=(20, 6, 2)).astype("float32")
    y = x.sum((1, 2))

    class Net(pylstm.SequenceModel, kind="net"):
        pass

    net = Net("gru", 2, 4, 1, seed=0)
    pylstm.fit(net, (x, y[:, None].astype("float32")), epochs=2)
    pylstm.save(path, net)
    assert np.array_equal(pylstm.load(path).predict(x), net.predict(x))
    pytest.importorskip("sklearn")

    class Fitted(pylstm.SequenceRegressor, kind="fitted"):
        pass

    estimator = Fitted(epochs=2).fit(x, y)
    pylstm.save(path, estimator)
    found = pylstm.load(path)
    assert type(found) is Fitted and np.array_equal(found.predict(x), estimator.predict(x))
