"""A file holds all of a contract that changes what is computed; it neither stops certification nor runs for hours."""

import tracemalloc

import numpy as np
import pytest

import pylstm
from pylstm import files
from pylstm.cells import Cell, tanh
from pylstm.cells.probe import probe
from pylstm.forecasting.forecast_model import ForecastModel
from pylstm.models.classify_model import ClassifyModel


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def rewrite(path, change):
    header, tensors = files.read_file(path)
    change(header)
    files.write_file(path, header, tensors)


def ours(**body):
    """A class of two states; `body` replaces what it declares."""

    def forward(z, prev):
        return {"h": tanh(z.a) + 0.5 * prev.c, "c": 0.5 * prev.c + tanh(z.b)}

    declared = {"name": "ours", "states": ("h", "c"), "gates": {"a": "x+h", "b": "x"}, "forward": forward}
    return type(Cell)("Ours", (Cell,), declared | body)


def surrogate(derivative=1.0):
    class Surrogate(Cell):
        """A spike whose derivative is another one: certification refuses it."""

        name = "surrogate"
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z, prev):
            return {"h": (z.a.real > 0) * 1.0 + 0.5 * prev.h}

        def backward(d, y):
            return {"a": derivative * d.h / (1 + np.abs(y.a)) ** 2, "h": 0.5 * d.h}

    return Surrogate


Surrogate = surrogate()

CHANGED = {
    "output": ({"output": "c"}, "output was h .*now c"),
    "biased": ({"biased": ("a",)}, "biased were a, b .*now a "),
    "biases in another order": ({"biased": ("b", "a")}, None),
    "a width": ({"widths": {"b": "input_size", "c": "input_size"}}, "widths were none"),
    "a size": ({"sizes": {"k": 4}}, "sizes were none .*now k=4"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_another_contract_is_refused(path, case):
    body, message = CHANGED[case]
    layer = pylstm.Recurrent(ours(), 3, 3, seed=0, bias=case == "biased")
    pylstm.save(path, layer)
    x = np.ones((4, 2, 3), "f4")
    assert np.array_equal(pylstm.load(path, cell=ours())(x).y, layer(x).y)
    if message:
        body = dict(body)
        if "widths" in body:
            body["forward"] = lambda z, prev: {"h": tanh(z.a), "c": 0.5 * prev.c + tanh(z.b)}
        with pytest.raises(ValueError, match=f"the cell 'ours' has changed since: {message}"):
            pylstm.load(path, cell=ours(**body))


EDITS = {
    "at the first step": lambda h: np.where(h.real == 0, 0.1, 0.0),
    "near 0.4": lambda h: np.where(abs(h.real - 0.4) < 0.05, 0.01, 0.0),
    "near -0.7": lambda h: np.where(abs(h.real + 0.7) < 0.05, 0.01, 0.0),
    "beyond 10": lambda h: np.where(h.real > 10, 0.01, 0.0),
    "below -10": lambda h: np.where(h.real < -10, 0.01, 0.0),
}


@pytest.mark.parametrize("case", EDITS)
def test_what_the_values_of_a_file_see(path, case):
    def cell(edit):
        class Edited(Cell):
            name = "edited"
            states = ("h",)
            gates = {"a": "x+h"}

            def forward(z, prev):
                return {"h": np.tanh(z.a) + 0.5 * prev.h + edit(prev.h)}

            def backward(d, y):
                return {"a": d.h * (1 - np.tanh(y.a) ** 2), "h": 0.5 * d.h}

        return Edited

    pylstm.save(path, pylstm.Recurrent(cell(lambda h: 0.0), 3, 4))
    with pytest.raises(ValueError, match="has changed since: forward h has other values"):
        pylstm.load(path, cell=cell(EDITS[case]))


def test_a_layer_that_was_not_certified(path):
    layer = pylstm.Recurrent(Surrogate, 3, 4, certified=False, seed=0)
    for thing in (layer, {"net": layer}, pylstm.Recurrent(Surrogate, 3, 4, num_layers=2, certified=False)):
        pylstm.save(path, thing)
        with pytest.raises(ValueError, match=r"made with certified=False.*load\(path, certified=False\)"):
            pylstm.load(path, cell=Surrogate)
        again = pylstm.load(path, cell=Surrogate, certified=False)
        assert "certified=False" in repr(again)
        pylstm.save(path, again)
    x = np.ones((4, 2, 3), "f4")
    pylstm.save(path, layer)
    assert np.array_equal(pylstm.load(path, cell=Surrogate, certified=False)(x).y, layer(x).y)


def test_a_file_does_not_stop_certification(path):
    pylstm.save(path, pylstm.Recurrent(Surrogate, 3, 4, certified=False))
    for change in (lambda part: part.pop("certified"), lambda part: part.update(certified=True)):
        rewrite(path, lambda header, change=change: change(header["parts"][""]))
        with pytest.raises(ValueError, match=r"paths (is|are) wrong"):
            pylstm.load(path, cell=Surrogate)
    rewrite(path, lambda header: header["parts"][""].update(certified=0))
    with pytest.raises(ValueError, match="certified must be true or false"):
        pylstm.load(path, cell=Surrogate)


def test_a_changed_cell_is_refused_uncertified_too(path):
    pylstm.save(path, pylstm.Recurrent(Surrogate, 3, 4, certified=False))
    with pytest.raises(ValueError, match="backward a has other values"):
        pylstm.load(path, cell=surrogate(2.0), certified=False)


X, Y = np.random.default_rng(0).normal(size=(12, 5, 2)).astype("f4"), np.arange(12) % 3


def fitted(kind, cell, certified):
    """A fitted model, and what fits and predicts it."""
    own = {} if certified else {"certified": False}
    if kind == "sequence":
        model = pylstm.SequenceModel(cell, 2, 4, 3, **own)
        return model, lambda model: model.predict(X)
    if kind == "forecast":
        model = ForecastModel(cell, 4, window=8, seed=0, **own)
        model.fit(np.sin(np.arange(40.0)), epochs=1)
        return model, lambda model: (model.fit(np.sin(np.arange(40.0)), epochs=1), model.predict(3))[1]
    if kind == "classify":
        model = ClassifyModel(["a", "b", "c"], cell, 4, seed=0, **own)
        model.fit(list(X), Y, epochs=1)
        return model, lambda model: (model.fit(list(X), Y, epochs=1), model.predict(list(X)))[1]
    clone = pytest.importorskip("sklearn.base").clone
    options = {"epochs": 1, "random_state": 0, "cell_options": own or None}
    if kind == "forecaster":
        series = np.sin(np.arange(40.0)) + 0.3 * np.arange(40)
        model = pylstm.Forecaster(cell, 4, window=8, **options).fit(series)
        return model, lambda model: clone(model).fit(series).predict(3)
    model = pylstm.SequenceClassifier(cell, 4, **options).fit(X, Y)
    return model, lambda model: clone(model).fit(X, Y).predict(X)


@pytest.mark.parametrize("kind", ["sequence", "forecast", "classify", "classifier", "forecaster"])
@pytest.mark.parametrize("certified", [True, False])
def test_a_loaded_model_holds_the_class(path, kind, certified):
    cell = ours(name="ours of a script") if certified else Surrogate
    model, again = fitted(kind, cell, certified)
    pylstm.save(path, model)
    if not certified:
        with pytest.raises(ValueError, match=r"load\(path, certified=False\)"):
            pylstm.load(path, cell=cell)
    loaded = pylstm.load(path, cell=cell, certified=certified)
    assert kind == "sequence" or loaded.cell is cell
    assert np.array_equal(again(loaded), again(model))
    pylstm.save(path, loaded)
    again(pylstm.load(path, cell=cell, certified=certified))


def test_models_of_registered_cells_keep_their_names(path):
    pylstm.save(path, fitted("classifier", "cornn", True)[0])
    assert pylstm.load(path).cell == "cornn"


@pytest.mark.parametrize("kind", ["forecast", "classify", "classifier", "forecaster"])
def test_the_next_fit_of_a_loaded_model_is_certified(path, kind):
    pylstm.save(path, fitted(kind, "gru", True)[0])

    def lie(header):
        metadata = header["metadata"]
        for says in (metadata, metadata.get("model", {})):
            if "options" in says:
                says["options"]["certified"] = False
        if "parameters" in metadata:
            metadata["parameters"]["cell_options"] = {"certified": False}

    rewrite(path, lie)
    with pytest.raises(ValueError, match="certified must be true, as of the layers"):
        pylstm.load(path)


CALLS = []


def loops(rounds=3, loop=range):
    class Loops(Cell):
        name = "loops"
        states = ("h",)
        gates = {"a": "x+h"}
        options = {"rounds": rounds, "share": 0.5}

        def forward(z, prev, o):
            h = z.a
            for _ in loop(o.rounds):
                CALLS.append(1)
                h = np.tanh(h)
            return {"h": h + o.share * prev.h}

        def backward(d, y, o):
            h = [y.a]
            for _ in loop(o.rounds):
                h.append(np.tanh(h[-1]))
            da = d.h
            for each in h[:0:-1]:
                da = da * (1 - each**2)
            return {"a": da, "h": o.share * d.h}

    return Loops


@pytest.mark.parametrize("rounds", [20_000, 9_000, 2**62, -20_000, 10**40])
def test_an_option_of_a_file_does_not_run_for_hours(path, rounds):
    Loops = loops()
    pylstm.save(path, pylstm.Recurrent(Loops, 3, 4, seed=0, rounds=4))
    assert pylstm.load(path, cell=Loops).cell.options["rounds"] == 4

    rewrite(path, lambda header: header["parts"][""]["options"].update(rounds=rounds))
    CALLS.clear()
    with pytest.raises(
        ValueError, match=r"options.*(must be an integer of at most 10000|takes more than 100000).*cell=..."
    ):
        pylstm.load(path, cell=Loops)
    assert len(CALLS) <= 100_000


def test_the_class_of_the_caller_may_loop(path):
    Loops = loops()
    many = Loops.with_options(rounds=11_000)
    pylstm.save(path, pylstm.Recurrent(many, 3, 4, seed=0, certified=False))
    with pytest.raises(ValueError, match="must be an integer of at most 10000 in a file, got 11000"):
        pylstm.load(path, cell=Loops, certified=False)
    assert pylstm.load(path, cell=many, certified=False).cell is many
    assert probe(Loops)


def test_a_large_file_of_a_wrong_shape_is_not_read(path):
    import json
    import struct

    pylstm.save(path, pylstm.LSTM(3, 4, seed=0))
    pylstm.load(path)
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    found = json.loads(data[8 : 8 + size])
    end = max(each["data_offsets"][1] for name, each in found.items() if name != "__metadata__")
    for name, each in found.items():
        if name != "__metadata__" and each["data_offsets"][1] == end:
            each["shape"], last = [2**28], name
            each["data_offsets"][1] = each["data_offsets"][0] + 2**30
    text = json.dumps(found).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with path.open("r+b") as file:
        file.truncate(8 + len(text) + each_end(found))
    assert path.stat().st_size > 2**30
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"tensor '{last}' must be float32 of shape .*got float32 \(268435456,\)"):
            pylstm.load(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def each_end(found):
    return max(each["data_offsets"][1] for name, each in found.items() if name != "__metadata__")


@pytest.mark.parametrize("cell", ["cornn", 3, Surrogate()])
def test_what_is_not_a_class_is_named_whole(path, cell):
    pylstm.save(path, pylstm.LSTM(3, 4))
    with pytest.raises(TypeError, match=r"cell= takes a class, or a list of them.*got ('cornn'|3|<.*Surrogate object)"):
        pylstm.load(path, cell=cell)
