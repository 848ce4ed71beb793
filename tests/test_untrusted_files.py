"""Files that lie: whatever a header says, `load` refuses it with the file and the entry, at once and without memory."""

import copy
import json
import os
import tracemalloc

import numpy as np
import pytest

import file_fuzz
import pylstm
from pylstm import files, saving
from pylstm.feedforward.linear import Linear
from pylstm.feedforward.mlp import MLP
from pylstm.forecasting.forecast_model import ForecastModel
from pylstm.layers.bidirectional import Bidirectional
from pylstm.models.classify_model import ClassifyModel
from pylstm.training.checkpoint import read_checkpoint, write_checkpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def rewrite(path, change, tensors=None):
    header, found = files.read_file(path)
    change(header)
    file_fuzz.write(path, header, found if tensors is None else tensors)


def refused(path, message, most=5e6, **options):
    """The `ValueError` of a load names the file, says `message`, and takes little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            pylstm.load(path, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{os.fsdecode(path)}: ")
    assert peak < most


def test_a_thousand_changed_headers(tmp_path):
    """The digest has no key: these are right. `tools/fuzz_files.py` reads as many as you like."""
    found = list(file_fuzz.fuzz(tmp_path, 1000, seed=11))
    assert [each[:3] for each in found if each[2].startswith("WRONG")] == []
    assert max(peak for *_, peak in found) < 50e6
    outcomes = [outcome for _, _, outcome, _, _ in found]
    assert outcomes.count("ValueError") > 700 and 20 < outcomes.count("read") < 250


def test_sizes_are_compared_with_tensors_before_anything_is_allocated(path):
    pylstm.save(path, pylstm.LSTM(3, 4))
    pylstm.load(path)  # what is imported and certified at the first load
    rewrite(path, lambda header: header["parts"][""]["arguments"].update(hidden_size=9000))
    refused(path, r"tensor 'weight_x' must be float32 of shape \(36000, 3\) by the header, got float32 \(16, 3\)")


@pytest.mark.once
@pytest.mark.parametrize("make", [lambda: Linear(3, 2), lambda: pylstm.LSTM(3, 4, num_layers=2)])
def test_many_layers_are_refused_at_once(path, make):
    pylstm.save(path, make())
    pylstm.load(path)

    def many(header):
        one = header["parts"].pop("")
        for each in one.get("layers", ()):
            del each["probe"], each["blocks"]
        if "layers" in one:
            one["layers"] = one["layers"] * 10_000
        header["parts"] = {"": one} if "layers" in one else {f"p{k}": one for k in range(20_000)}

    rewrite(path, many)
    refused(path, "1000 layers, got 20000", most=60e6)


def test_layers_of_all_parts_are_counted_together(path):
    pylstm.save(path, MLP(3, (4,), 2))

    def twice(header):
        one = header["parts"].pop("")
        one["arguments"]["sizes"] = [4] * 600
        header.update(kind="dict", parts={"a": one, "b": one})

    rewrite(path, twice)
    refused(path, "a file can hold 1000 layers, got 1202")


def test_save_refuses_what_load_would(path):
    body = pylstm.Recurrent("rnn_tanh", 1, 1, num_layers=1001)
    with pytest.raises(ValueError, match="a file can hold 1000 layers, got 1001"):
        pylstm.save(path, body)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": ' * 100_000, "the header is damaged"),
        ("[" * 100_000 + "]" * 100_000, "the header is damaged"),
        ('{"format": ' + "9" * 5000 + "}", "the header is damaged"),
        ("[1]", "the header is damaged"),
        ("null", "the header is damaged"),
        ('{"format": 1, "version": "0", "sha256": 3}', "kind is missing"),
    ],
)
def test_json_that_is_no_header(path, text, message):
    import safetensors.numpy

    safetensors.numpy.save_file({"weight": np.zeros(2, "f4")}, path, metadata={"pylstm": text})
    refused(path, message, most=50e6)


DESCRIPTIONS = {
    "three directions": (
        lambda: Bidirectional(pylstm.GRU(3, 4), pylstm.GRU(3, 4)),
        lambda layer: layer["layers"].append(layer["layers"][0]),
        r"layers must hold 2 layers, got 3",
    ),
    "a stack in a stack": (
        lambda: pylstm.LSTM(3, 4, num_layers=2),
        lambda layer: layer["layers"].append(copy.deepcopy(layer)),
        r"layers\[2\]\.layer must be one of recurrent, bidirectional, got 'stack'",
    ),
    "dropout above 1": (
        lambda: pylstm.LSTM(3, 4, num_layers=2),
        lambda layer: layer["arguments"].update(dropout=1.5),
        r"dropout must be a finite number in 0\.\.1, got 1\.5",
    ),
    "a learned state that the cell does not have": (
        lambda: pylstm.LSTM(3, 4),
        lambda layer: layer["arguments"].update(learn_initial=["q"]),
        r"learn_initial must hold states \(h, c\), got \['q'\]",
    ),
    "one learned state twice": (
        lambda: pylstm.LSTM(3, 4),
        lambda layer: layer["arguments"].update(learn_initial=["h", "h"]),
        r"learn_initial must hold states",
    ),
    "a size that is true": (
        lambda: Linear(1, 2),
        lambda layer: layer["arguments"].update(in_features=True),
        r"in_features must be an integer of at least 1, got True",
    ),
    "a flag that is 1": (
        lambda: Linear(1, 2),
        lambda layer: layer["arguments"].update(bias=1),
        r"bias must be true or false, got 1",
    ),
    "a layer of no units": (
        lambda: MLP(3, (4,), 2),
        lambda layer: layer["arguments"].update(sizes=[0]),
        r"sizes must hold up to 998 integers of at least 1, got \[0\]",
    ),
    "another dtype": (
        lambda: Linear(1, 2),
        lambda layer: layer.update(dtype="float16"),
        r"dtype must be one of float32, float64, got 'float16'",
    ),
    "values that are NaN": (
        lambda: pylstm.GRU(3, 4),
        lambda layer: layer["probe"].update({"forward h": [float("nan")] * 6}),
        r"forward h must hold finite numbers or null only",
    ),
    "an entry that is not known": (
        lambda: pylstm.GRU(3, 4),
        lambda layer: layer.update(hook="os:system"),
        r"hook is unknown",
    ),
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_a_layer_that_is_described_wrongly(path, case):
    make, change, message = DESCRIPTIONS[case]
    pylstm.save(path, make())
    pylstm.load(path)
    rewrite(path, lambda header: change(header["parts"][""]))
    refused(path, message)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite(path, value):
    layer = pylstm.LSTM(3, 4, seed=0)
    layer.params["weight_h"][1, 2] = value
    pylstm.save(path, {"net": layer}, allow_nonfinite=True)
    refused(path, rf"'net\.weight_h' holds {value}: load\(path, allow_nonfinite=True\)")
    assert np.array_equal(pylstm.load(path, allow_nonfinite=True)["net"].params.flat, layer.params.flat, equal_nan=True)


def test_models_of_series(path):
    model = ForecastModel("gru", 4, window=8, seed=0)
    model.fit(np.sin(np.arange(40.0)), epochs=1)
    for change, message in [
        (lambda says: says["lists"].pop("tails"), r"metadata\.lists\.tails is missing"),
        (lambda says: says["lists"].update(tails=[]), "the same number of series"),
        (lambda says: says["lists"].update(tails=[[]]), r"metadata\.lists\.tails must have at least 1 steps each"),
        (lambda says: says["lists"].update(scales=[[[0.0], [-1.0]]]), "deviations above 0"),
        (lambda says: says["arrays"].update(residuals=[[[float("nan")]]]), r"residuals must be finite, holds nan"),
        (lambda says: says["options"].update(horizon=2), "do not fit"),
        (lambda says: says["options"].update(callback=1), r"metadata\.options\.callback is unknown"),
        (lambda says: says["options"].update(dtype="float64"), r"must be float32, the dtype of the layers"),
        (lambda says: says.update(form="x" * 5000), r"metadata\.form must be one of one, columns, list"),
        (lambda says: says["lists"].update(tails=[["a" * 10_000] * 2]), "must be numbers of shape"),
    ]:
        pylstm.save(path, model)
        rewrite(path, lambda header, change=change: change(header["metadata"]))
        refused(path, message)


def test_models_of_classes(path):
    model = ClassifyModel(["a", "b"], "gru", 4, num_layers=2, dropout=0.2, seed=0)
    model.fit([np.ones((k, 2)) * k for k in (3, 4, 5, 6)], [0, 1, 0, 1], epochs=1)
    for change, message in [
        (lambda says: says.update(classes=["a", "b", "c"]), "3 classes, but"),
        (lambda says: says.update(scale=[[0.0, 0.0], [1.0, -1.0]]), r"metadata\.scale, deviations must be above 0"),
        (lambda says: says.update(scale=[[0.0], [1.0]]), r"metadata\.scale must be numbers of shape \(2, 2\)"),
        (lambda says: says["net"].update(rng={"state": 1}), "not the state of a PCG64 generator"),
        (lambda says: says["net"].update(loss="huber"), "softmax_cross_entropy"),
        (lambda says: says["net"].update(read="every"), "softmax_cross_entropy, and read"),
        (lambda says: says["options"].update(read="mean"), r"metadata\.options\.read must be 'last', as in the net"),
        (lambda says: says["options"].update(read="__init__"), r"options\.read must be 'last', .* got '__init__'"),
    ]:
        pylstm.save(path, model)
        rewrite(path, lambda header, change=change: change(header["metadata"]))
        refused(path, message)


def test_estimators_set_attributes_of_a_list_only(path):
    pytest.importorskip("sklearn")
    x, y = np.random.default_rng(0).normal(size=(12, 5, 2)), np.arange(12) % 3
    net = pylstm.SequenceClassifier("gru", 4, epochs=1, random_state=0).fit(x, y)
    for change, message in [
        (lambda says: says["scales"].update(x_scale_=[1.0, -1.0]), r"scales\.x_scale_ must be above 0, holds -1\.0"),
        (lambda says: says["scales"].update(fit=[1.0]), r"metadata\.scales\.fit is unknown"),
        (lambda says: says["fitted"].update(predict=1), r"metadata\.fitted\.predict is unknown"),
        (lambda says: says["fitted"].update(n_step_features_=3), "must be 2"),
        (lambda says: says["parameters"].update(_net_of=1), r"metadata\.parameters\._net_of is unknown"),
        (lambda says: says["parameters"].update(dtype="float64"), "must be 'float32', as in the net"),
        (lambda says: says["parameters"].update(learning_rate=-1.0), "learning_rate must be above 0"),
        (lambda says: says["classes"].update(dtype="<U1000000000"), "labels do not have the dtype"),
        (lambda says: says["classes"].update(labels=[0, 1]), "is of 2 outputs, but the head has"),
        (lambda says: says.update(evil=1), r"metadata\.evil is unknown"),
    ]:
        pylstm.save(path, net)
        rewrite(path, lambda header, change=change: change(header["metadata"]))
        refused(path, message)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (3, "tree must be an object, got 3"),
        ({"value": 1}, "tree must hold a dict"),
        ({"dict": {"a": {"array": "absent"}}}, r"tree\.dict\.a\.array must be one of"),
        ({"dict": {"a": {"array": "/h", "value": 1}}}, "must have one entry"),
        ({"dict": {"a": {"pickle": "x"}}}, r"tree\.dict\.a\.pickle is unknown"),
    ],
)
def test_checkpoints(path, tree, message):
    write_checkpoint(path, "fit", {"h": np.zeros(2)})
    rewrite(path, lambda header: header.update(tree=tree))
    with pytest.raises(ValueError, match=message) as caught:
        read_checkpoint(path, "fit")
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("entry", ["run", "params", "optimiser", "history", "counts", "rng", "best"])
def test_training_does_not_go_on_from_a_checkpoint_that_lies(path, entry):
    def trainer():
        model = pylstm.SequenceModel("gru", 2, 3, 1, num_layers=2, dropout=0.1, seed=0)
        x = np.random.default_rng(0).normal(size=(6, 4, 2)).astype("f4")
        return pylstm.Trainer(model, (x, x[:, 0, :1]), batch_size=3)

    written = trainer()
    written.save_checkpoint(path)
    trainer().resume(path)
    for value in ({"value": 7}, {"dict": {}}, {"value": "x"}, {"value": [1]}):
        if entry == "best" and value == {"dict": {}}:
            continue
        written.save_checkpoint(path)
        rewrite(path, lambda header, value=value: header["tree"]["dict"].update({entry: value}))
        with pytest.raises(ValueError, match=r": .") as caught:
            trainer().resume(path)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ("/params/1/weight", r"parameter '1\.weight' must be finite"),
        ("/best/0/0.bias", r"parameter '0\.0\.bias' must be finite"),
        ("/optimiser/m.0", r"optimiser state 'm\.0' must be finite"),
        ("/optimiser/v.1", r"optimiser state 'v\.1' must be finite"),
    ],
)
def test_a_checkpoint_holds_finite_numbers(path, tensor, words, value):
    x = np.random.default_rng(0).normal(size=(6, 4, 2)).astype("f4")

    def fit(**options):
        model = pylstm.SequenceModel("gru", 2, 3, 1, num_layers=2, seed=0)
        data = (x, x[:, 0, :1])
        options |= {"patience": 3, "validation": data, "batch_size": 3, "epochs": 2}
        return pylstm.fit(model, data, checkpoint=path, **options)

    fit()
    fit(resume=True)
    header, tensors = files.read_file(path)
    tensors[tensor].reshape(-1)[1] = value
    files.write_file(path, header, tensors)
    with pytest.raises(ValueError, match=words) as caught:
        fit(resume=True)
    assert str(caught.value).startswith(f"{path}: ") and path.exists()


def test_averages_of_squares_are_not_negative(path):
    for kind in (pylstm.Adam, pylstm.RMSProp):
        params = pylstm.GRU(2, 3).params
        state = kind(params).state_dict()
        kind(params).load_state_dict(state)
        state["v.0"][3] = -1
        with pytest.raises(ValueError, match=r"optimiser state 'v\.0' must be at least 0, holds -1"):
            kind(params).load_state_dict(state)
        state["v.0"][3] = np.nan
        with pytest.raises(ValueError, match=r"optimiser state 'v\.0' must be finite, holds nan"):
            kind(params).load_state_dict(state)
    momentum = pylstm.SGD(params, 0.1, momentum=0.9).state_dict()
    momentum["velocity.0"][3] = -1.0
    pylstm.SGD(params, 0.1, momentum=0.9).load_state_dict(momentum)


def test_paths_as_bytes(path):
    given = os.fsencode(path)
    pylstm.save(given, pylstm.LSTM(3, 4), about={"a": 1})
    assert repr(pylstm.load(given)) and saving.read_about(given) == {"a": 1}
    rewrite(path, lambda header: header["parts"][""].update(layer="x"))
    refused(given, "layer must be one of .*bidirectional, .*recurrent")
    write_checkpoint(given, "fit", {"a": 1})
    assert read_checkpoint(given, "fit") == {"a": 1}
    with pytest.raises(ValueError, match="got a checkpoint of fit") as caught:
        read_checkpoint(given, "text")
    assert str(caught.value).startswith(f"{path}: ")
    path.write_bytes(b"nothing")
    refused(given, "not a safetensors file")


def test_a_file_imports_nothing(path):
    """A class is named by a file, and never looked up by it."""
    pylstm.save(path, file_fuzz.Own(pylstm.GRU(3, 4), 2))
    rewrite(path, lambda header: header.update({"class": "os:system"}))
    refused(path, r"holds a system of module os: load\(path, model=system\)")
    refused(path, "must be that class", model=file_fuzz.Own)
    assert json.loads(json.dumps(files.read_file(path)[0]))["class"] == "os:system"
