"""``pylstm inspect``: a page for every kind of saved model and of file, its pictures, and each of its warnings."""

import importlib.util
import math

import numpy as np
import pytest

import pylstm
from inspect_page import Page, normal
from pylstm.datasets import Vocabulary
from pylstm.forecasting import ForecastModel
from pylstm.models import ClassifyModel
from pylstm.saving import save
from pylstm.text import CharModel

pytest.importorskip("matplotlib")
needs_sklearn = pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="needs sklearn")


def healthy(I=2, H=8, cell="lstm", **options):
    return pylstm.Recurrent(cell, I, H, seed=0, **options).initialise("gate_bias", "f" if cell == "lstm" else "z", 3.5)


def test_a_healthy_layer(run, tmp_path):
    save("net.safetensors", healthy())
    np.save("x.npy", normal(40, 2))
    done = run("inspect", "net.safetensors", "x.npy")
    assert (done.status, done.out, done.err) == (0, "page net.html\n", "")
    page = Page(tmp_path / "net.html")
    assert page.headings == ["What stands out", "Parameters", "Layer 0"] and page.well == 1 and not page.found
    assert len(page.images) == 5 and all(image.startswith("<?xml") for image in page.images)
    assert "On x.npy: 1 of 1 sequences, 40 of 40 steps." in page.source
    assert "<td>\u2003weight_h</td><td>(32, 8)</td><td>256</td>" in page.source
    assert "<td>gates[&#x27;f&#x27;]</td><td>(40, 1, 8)</td>" in page.source


def test_the_same_model_and_data_make_the_same_page(run, tmp_path):
    save("net.safetensors", healthy())
    np.save("x.npy", normal(40, 2))
    for name in ("a.html", "b.html"):
        assert run("inspect", "net.safetensors", "x.npy", "--output", name).status == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def spoilt(how):
    layer = healthy()
    if how == "saturated":
        layer.initialise("gate_bias", "o", 9.0)
    if how == "vanishing":
        layer.initialise("gate_bias", "f", 0.0)
    if how == "silent":
        layer.params["weight_x"][...] = layer.params["weight_h"][...] = layer.params["bias"][...] = 0
    if how == "exploding":
        layer = pylstm.Recurrent("rnn_tanh", 2, 8, seed=0).initialise("orthogonal", gain=2.5, seed=0)
    return layer


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("saturated", "Gate o of layer 0 is saturated at 1 for 100 % of the units"),
        ("vanishing", "The gradient of layer 0 is lost on its way back: at lag 50 it is"),
        ("silent", "8 of 8 outputs of layer 0 are the same at every step of every row"),
        ("exploding", "The gradient of layer 0 grows on its way back"),
        ("input", "Input 1 of layer 0 is large, 300 in the mean with a deviation of"),
        ("not finite", "The input of layer 0 is NaN or infinite from step 7 of row 0 on"),
    ],
)
def test_each_warning(undrawn, run, tmp_path, how, says):
    save("net.safetensors", spoilt(how))
    x = normal(80, 2).astype("float32")
    if how == "input":
        x[:, 1] = 300 + 20 * (x[:, 1] - x[:, 1].mean())
    if how == "exploding":
        x *= 0.01
    if how == "not finite":
        x[7, 0] = np.nan
    np.save("x.npy", x)
    found = run("inspect", "net.safetensors", "x.npy", "--json").json
    assert how in [each["kind"] for each in found["findings"]] and {each["layer"] for each in found["findings"]} == {
        "layer 0"
    }
    page = Page(tmp_path / "net.html")
    assert len(page.found) == len(found["findings"]) and page.well == 0
    assert any(each.startswith(says) and each.endswith(".") for each in page.found)


def test_what_is_not_finite_is_told_where_it_begins(undrawn, run, tmp_path):
    save("net.safetensors", pylstm.LSTM(2, 3, num_layers=2, bidirectional=True, seed=0))
    x = normal(3, 20, 2)
    x[1, 6:] = np.nan
    np.save("x.npy", x)
    first, *others = [each["text"] for each in run("inspect", "net.safetensors", "x.npy", "--json").json["findings"]]
    assert "layer 0, forward is NaN or infinite from step 6 of row 1 on" in first and "fill the gaps" in first
    assert len(others) == 3  # of which the reverse direction counts its steps from the end
    assert all("is NaN or infinite, too" in each and "step" not in each and "fill" not in each for each in others)


def test_a_large_layer_is_run_on_fewer_sequences(undrawn, run, tmp_path, monkeypatch):
    """So that its gradient is followed for as many steps; fewer lags would not tell that it is lost."""
    from pylstm.commands._inspect import looks

    layer = spoilt("vanishing")
    save("net.safetensors", layer)
    np.save("x.npy", normal(9, 80, 2))
    monkeypatch.setattr(looks, "WORK", 2.5 * 52 * 12 * layer.params.size * 80)
    found = run("inspect", "net.safetensors", "x.npy", "--json").json["findings"]
    assert [each["kind"] for each in found] == ["vanishing"] and "at lag 50 it is" in found[0]["text"]
    assert "2 of 9 sequences, 160 of 720 steps" in (tmp_path / "net.html").read_text()


def test_stacks_and_directions_have_a_part_for_every_layer(run, tmp_path):
    save("net.safetensors", pylstm.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True, seed=0))
    np.savez("x.npz", x=normal(20, 30, 3), lengths=np.array([30, 0, *range(3, 21)]))
    found = run("inspect", "net.safetensors", "x.npz", "--json").json
    assert found["layers"] == [f"layer {k}, {way}" for k in (0, 1) for way in ("forward", "reverse")]
    page = Page(tmp_path / "net.html")
    assert page.headings[2:] == [each.capitalize() for each in found["layers"]]
    assert len(set(page.alts)) == 16 and page.alts[4].startswith("layer 0, reverse: What the first of the longest")
    assert len(page.images) == 4 * 4  # no spectra of rows that end early
    assert f"16 of 20 sequences, {30 + sum(range(3, 18))} of {30 + sum(range(3, 21))} steps" in page.source


@pytest.mark.parametrize("read", ["last", "every"])
def test_models_of_sequences(undrawn, run, tmp_path, read):
    save("net.safetensors", pylstm.SequenceModel("gru", 2, 4, 1, num_layers=2, dropout=0.5, read=read, seed=0))
    rows = "\n".join(f"2020-01-{k:02},{math.sin(k)},{k % 3}" for k in range(1, 31))
    (tmp_path / "x.csv").write_text(f"day,a,b\n{rows}\n")
    assert run("inspect", "net.safetensors", "x.csv").status == 0
    page = Page(tmp_path / "net.html")
    assert "1 of 1 sequences, 30 of 30 steps" in page.source and "head: Linear(4, 1" in page.source
    (tmp_path / "y.csv").write_text("who,a,b\n" + "".join(f"{'pq'[k > 9]},{k},{-k}\n" for k in range(25)))
    assert run("inspect", "net.safetensors", "y.csv", "--id", "who").status == 0
    assert "2 of 2 sequences, 25 of 25 steps" in (tmp_path / "net.html").read_text()


def test_indices_and_texts(undrawn, run, tmp_path):
    save("net.safetensors", pylstm.SequenceModel("gru", 3, 4, 2, vocabulary=7, seed=0))
    np.save("x.npy", np.random.default_rng(0).integers(0, 7, 30))
    assert run("inspect", "net.safetensors", "x.npy").status == 0
    np.save("y.npy", np.array([1, 7]))
    assert "y.npy: sequences must be indices in 0..6" in run("inspect", "net.safetensors", "y.npy").err
    save("text.safetensors", CharModel(Vocabulary("abc \n"), "gru", 4, embedding_size=3))
    (tmp_path / "book.txt").write_text("a cab\n" * 100)
    assert run("inspect", "text.safetensors", "book.txt").status == 0
    assert "300 of 600 steps" in (tmp_path / "text.html").read_text()


def classes():
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, 2)) + 2 * (n % 2) for n in range(5, 17)]
    return x, np.array([len(each) % 2 for each in x])


def test_a_classifier_with_and_without_labels(run, tmp_path):
    x, y = classes()
    model = ClassifyModel(["even", "odd"], "gru", 4, seed=0)
    model.fit(x, y, epochs=3)
    save("net.safetensors", model, about={"task": "classify", "reading": {"label": "kind", "id": "who"}})
    lines = [f"{n},{a},{b},{model.classes[y[n]]}" for n, each in enumerate(x) for a, b in each]
    (tmp_path / "x.csv").write_text("\n".join(["who,a,b,kind", *lines]) + "\n")
    assert run("inspect", "net.safetensors", "x.csv").status == 0
    page = Page(tmp_path / "net.html")
    assert page.headings == ["What stands out", "Parameters", "Results", "Layer 0"]
    assert "12 of 12 sequences" in page.source
    bare = "\n".join(line.rpartition(",")[0] for line in ["who,a,b,kind", *lines])
    (tmp_path / "bare.csv").write_text(bare + "\n")
    assert run("inspect", "net.safetensors", "bare.csv").status == 0
    other = Page(tmp_path / "net.html")
    assert "Results" not in other.headings and other.images == page.images[1:]  # the net sees the same
    done = run("inspect", "net.safetensors")
    assert done.status == 2 and "its training data are not recorded: pass DATA" in done.err


@pytest.mark.parametrize("known", [False, True])
def test_a_forecast(undrawn, run, tmp_path, known):
    t = np.arange(120)
    y, holiday = 10 + np.sin(t * np.pi / 6), (t % 7 == 0).astype(float)
    model = ForecastModel("gru", 4, window=24, season=0 if known else 12, seed=0)
    model.fit(y, exogenous=holiday[:, None] if known else None, epochs=2, validation=0.2)
    reading = {"column": ["y"], "known": ["holiday"] if known else None}
    save("net.safetensors", model, about={"task": "forecast", "reading": reading, "horizon": 6})
    (tmp_path / "y.csv").write_text("y,holiday\n" + "".join(f"{a},{b:g}\n" for a, b in zip(y, holiday)))
    assert run("inspect", "net.safetensors", "y.csv").status == 0
    page = Page(tmp_path / "net.html")
    assert ("Results" in page.headings) is not known
    assert f"{119 if known else 107} of {119 if known else 107} steps" in page.source


def test_what_the_net_sees():
    t = np.arange(60.0)
    y = 10 + np.sin(t) + 0.1 * t
    model = ForecastModel("gru", 4, window=24, difference=1, dtype="float64", seed=0)
    model.fit(y, epochs=1)
    (x,) = model.inputs(y)
    z = np.diff(y)
    assert np.allclose(x[:, 0], ((z - model.scales[0][0]) / model.scales[0][1])[:-1], atol=1e-12)
    assert np.array_equal(model.inputs()[0][-5:], x[-5:])
    with pytest.raises(ValueError, match="the history must have at least 3 steps, got 2"):
        model.inputs(y[:2])
    rows, labels = classes()
    judge = ClassifyModel(["even", "odd"], "gru", 4, dtype="float64", seed=0)
    judge.fit(rows, labels, epochs=1)
    seen = judge.inputs(rows)
    assert np.allclose(np.concatenate(seen.rows()).std(axis=0), 1, atol=1e-12)
    assert np.array_equal(judge.net.predict(seen), judge.net.predict(judge.inputs(rows)))
    with pytest.raises(ValueError, match="sequences must have 2 features at a step, got 1"):
        judge.inputs([np.ones((3, 1))])


@needs_sklearn
def test_estimators(undrawn, run, tmp_path):
    x, y = normal(12, 20, 2, seed=1) * 30 + 100, np.arange(12) % 2
    kinds = {
        "classifier": pylstm.SequenceClassifier("gru", hidden_size=4, epochs=2, random_state=0).fit(x, y),
        "regressor": pylstm.SequenceRegressor("gru", hidden_size=4, epochs=2, random_state=0).fit(x, y * 1.0),
    }
    np.save("x.npy", x)
    for name, estimator in kinds.items():
        save(f"{name}.safetensors", estimator)
        assert run("inspect", f"{name}.safetensors", "x.npy").status == 0
        page = Page(tmp_path / f"{name}.html")
        assert "12 of 12 sequences" in page.source
        assert not any(each.startswith("Input") for each in page.found)  # the estimator standardises
    save("f.safetensors", pylstm.Forecaster("gru", hidden_size=4, window=12, epochs=2, random_state=0).fit(normal(80)))
    np.save("y.npy", normal(80))
    assert run("inspect", "f.safetensors", "y.npy").status == 0


def test_files_without_a_recurrent_layer(run, tmp_path):
    save("a.safetensors", {"one": pylstm.Linear(3, 2), "two": pylstm.MLP(3, [4], 1)})
    save("b.safetensors", pylstm.Linear(3, 2))
    for name, count in (("a", 2), ("b", 1)):
        assert run("inspect", f"{name}.safetensors").out == f"page {name}.html\n"
        page = Page(tmp_path / f"{name}.html")
        assert page.headings == ["Parameters"] and page.source.count("<table") == count and not page.well


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.safetensors"], "net.safetensors does not say what it was trained on: pass DATA"),
        (["net.safetensors", "no.npy"], "no.npy: does not exist"),
        (
            ["net.safetensors", "wide.npy"],
            "wide.npy: sequences must have shape (T, 2), one number an input, got (5, 3)",
        ),
        (["net.safetensors", "two.npz"], "two.npz: holds the arrays a, b: the sequences must be called x"),
        (["net.safetensors", "text.npy"], "text.npy: x must be numbers of shape (T,), (T, I) or (N, T, I), got <U1"),
        (["net.safetensors", "broken.npz"], "broken.npz: cannot be read as a file of NumPy"),
        (["net.safetensors", "lengths.npz"], "lengths.npz: lengths must be integers of shape (2,)"),
        (["net.safetensors", "none.npz"], "the data have no steps"),
        (["net.safetensors", "x.npy", "--output", "no/where.html"], "where.html: the folder"),
        (["net.safetensors", "x.npy", "--output", "net.safetensors"], "is the same file as MODEL net.safetensors"),
        (["no.safetensors", "x.npy"], "no.safetensors: does not exist"),
    ],
)
def test_what_is_refused(run, tmp_path, words, message):
    save("net.safetensors", healthy())
    np.save("x.npy", normal(9, 2))
    np.save("wide.npy", normal(5, 3))
    np.savez("two.npz", a=normal(5, 2), b=normal(5, 2))
    np.save("text.npy", np.array(["a"]))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not a file")
    np.savez("lengths.npz", x=normal(2, 5, 2), lengths=np.array([1.0, 2.0]))
    np.savez("none.npz", x=normal(2, 5, 2), lengths=np.array([0, 0]))
    done = run("inspect", *words)
    assert done.status == 2 and message in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "net.html").exists()
