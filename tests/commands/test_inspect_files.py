"""Files that ``pylstm inspect`` reads: what cells take beside x, lists of sequences, series of forecasts."""

from dataclasses import replace

import numpy as np
import pytest

import pylstm
from inspect_page import Page, normal
from pylstm.forecasting import ForecastModel
from pylstm.saving import save

pytest.importorskip("matplotlib")


def timed(tmp_path):
    """Files with x and dt: one sequence, several of unequal lengths, tables."""
    x, dt = normal(30, 2), np.random.default_rng(1).uniform(0.1, 1, 30)
    np.savez("one.npz", x=x, dt=dt)
    lengths = np.array([20, 0, 7])
    np.savez("three.npz", x=normal(3, 20, 2), dt=np.ones((3, 20)), lengths=lengths)
    np.savez("short.npz", x=x, dt=dt[:9])
    np.savez("negative.npz", x=x, dt=-dt)
    np.save("bare.npy", x)
    rows = [f"{a},{t},{b},{'pq'[k > 20]}" for k, (a, t, b) in enumerate(zip(x[:, 0], dt, x[:, 1]))]
    (tmp_path / "t.csv").write_text("\n".join(["a,dt,b,who", *rows]) + "\n")
    (tmp_path / "bare.csv").write_text("\n".join(["a,b", *(f"{a},{b}" for a, b in x)]) + "\n")


def timed_nets():
    cfc = {"seed": 0, "batch_first": True}
    both = [pylstm.Recurrent("cfc", 2, 4, **cfc), pylstm.LSTM(2, 3, **cfc)]
    return {
        "layer": pylstm.Recurrent("cfc", 2, 4, seed=0),
        "stack": pylstm.Stack(
            [pylstm.Recurrent("cfc", 2, 4, seed=0), pylstm.LSTM(4, 3), pylstm.Recurrent("ltc", 3, 2)]
        ),
        "both": pylstm.layers.Bidirectional(*both),
    }


@pytest.mark.parametrize("kind", ["layer", "stack", "both"])
def test_what_a_cell_takes_beside_x(undrawn, run, tmp_path, monkeypatch, kind):
    from pylstm.commands._inspect import looks

    timed(tmp_path)
    net, seen = timed_nets()[kind], []
    save("net.safetensors", net)
    monkeypatch.setattr(looks, "_leaves", lambda each, name: seen.append(each) or iter(()))
    assert run("inspect", "net.safetensors", "one.npz").status == 0
    held = np.load("one.npz")
    x, dt = held["x"].astype("float32"), held["dt"].astype("float32")[:, None]
    given = {"layer": {"dt": dt}, "stack": [{"dt": dt}, None, {"dt": dt}], "both": [{"dt": dt}, None]}[kind]
    assert np.array_equal(seen[0].y.reshape(30, -1), net(x, aux=given).y)
    for words in (["t.csv", "--columns", "a,b"], ["t.csv", "--id", "who"], ["three.npz"]):
        assert run("inspect", "net.safetensors", *words).status == 0
    assert np.allclose(seen[1].y.reshape(30, -1), seen[0].y.reshape(30, -1), atol=1e-6)
    assert "2 of 3 sequences, 27 of 27 steps" in (tmp_path / "net.html").read_text()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "bare.npy",
            "bare.npy: holds the arrays x: the model takes dt at every step, too: pass an .npz file with x and",
        ),
        ("bare.csv", "bare.csv: has no column dt, which net.safetensors takes at every step"),
        ("short.npz", "short.npz: dt must have shape (30, 1) beside x, got (9, 1)"),
        ("negative.npz", "aux['dt'] must be at least 0"),
    ],
)
def test_what_a_cell_takes_beside_x_is_missing_or_wrong(run, tmp_path, file, message):
    timed(tmp_path)
    save("net.safetensors", timed_nets()["layer"])
    done = run("inspect", "net.safetensors", file)
    assert done.status == 2 and message in done.err and not (tmp_path / "net.html").exists()


def test_a_cell_of_many_gates(run, tmp_path):
    """Its gradients have a legend of 37 lines, for which the picture has the height (a warning is an error here)."""
    save("net.safetensors", pylstm.Recurrent("hyper_lstm", 2, 4, seed=0))
    np.save("x.npy", normal(15, 2))
    assert run("inspect", "net.safetensors", "x.npy").status == 0
    page = Page(tmp_path / "net.html")
    assert len(page.images) == 3


def test_arrays_for_a_forecast(undrawn, run, tmp_path):
    """Several series, inputs that are known, and series that are forecast together."""
    t = np.arange(60)
    y, k = np.stack([10 + np.sin(t), 3 + np.cos(t), 5 + np.sin(t / 2)]), np.tile(t % 7 == 0, (3, 1)).astype(float)
    alone, known, joint = (ForecastModel("gru", 4, window=12, joint=each, seed=0) for each in (False, False, True))
    alone.fit(list(y), epochs=1)
    known.fit(list(y), list(k[:, :, None]), epochs=1)
    joint.fit(y.T, epochs=1)
    for name, model in {"alone": alone, "known": known, "joint": joint}.items():
        save(f"{name}.safetensors", model)
    np.save("three.npy", y[:, :, None])
    np.savez("lists.npz", y[0], y[1, :40], y[2])
    np.savez("known.npz", x=y[:, :, None], known=k)
    (tmp_path / "y.csv").write_text("a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in y.T))
    columns = [word for name in "abc" for word in ("--column", name)]
    for name, words, steps in [
        ("alone", ["three.npy"], 3 * 59),
        ("alone", ["lists.npz"], 2 * 59 + 39),
        ("alone", ["y.csv", *columns], 3 * 59),
        ("known", ["known.npz"], 3 * 59),
        ("joint", ["y.csv", *columns], 59),
    ]:
        done = run("inspect", f"{name}.safetensors", *words)
        assert done.status == 0, done.err
        assert f"{steps} of {steps} steps" in (tmp_path / f"{name}.html").read_text()
    done = run("inspect", "known.safetensors", "three.npy")
    assert "the model takes known at every step, too: pass an .npz file with x and known" in done.err


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"lengths": [50, 3, 0, 5, 7]}, "lengths must be from 0 to 20, the steps of x, got 50 at index 0"),
        ({"lengths": [5, 3, 0, -5, 7]}, "lengths must be from 0 to 20, the steps of x, got -5 at index 3"),
        ({"x": np.zeros((0, 20, 3), "float32")}, "x is empty, an array of shape (0, 20, 3)"),
    ],
)
def test_lengths_that_cannot_be_and_nothing(run, arrays, message):
    save("net.safetensors", pylstm.LSTM(3, 4, seed=0))
    np.savez("x.npz", **{"x": normal(5, 20, 3), **arrays})
    done = run("inspect", "net.safetensors", "x.npz")
    assert done.status == 2 and f"x.npz: {message}" in done.err


@pytest.mark.parametrize("command", ["inspect", "predict"])
def test_a_table_without_ids_for_a_classifier_of_sequences(run, tmp_path, command):
    x, y = list(normal(8, 10, 3)), np.arange(8) % 2
    save("net.safetensors", pylstm.SequenceClassifier("gru", hidden_size=4, epochs=1, random_state=0).fit(x, y))
    (tmp_path / "t.csv").write_text("a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in normal(20, 3)))
    for words in ([], ["--columns", "a,b,c"]):
        done = run(command, "net.safetensors", "t.csv", *words)
        assert done.status == 2 and "t.csv: sequences must have 3 features at a step" in done.err
        assert "--id NAME takes the rows of an id as its steps" in done.err


def test_a_forecast_that_is_not_the_net_s(undrawn, run, tmp_path):
    walk = np.cumsum(np.random.default_rng(0).normal(size=120))
    with pytest.warns(UserWarning, match="that is the forecast"):
        fitted = pylstm.Forecaster("gru", hidden_size=2, window=12, epochs=1, random_state=0).fit(walk)
    model = fitted.task_model
    save("f.safetensors", fitted)
    np.save("y.npy", walk)
    assert run("inspect", "f.safetensors", "y.npy").status == 0
    text = (tmp_path / "f.html").read_text()
    assert "chose as the forecast: 1.00 naive. What stands out is said of the net, which has no part in it." in text
    model.blend.columns = [replace(each, share=1.0, net=1.0) for each in model.blend.columns]
    save("f.safetensors", fitted)
    assert run("inspect", "f.safetensors", "y.npy").status == 0
    assert "chose as the forecast" not in (tmp_path / "f.html").read_text()
