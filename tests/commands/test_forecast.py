"""``pylstm train forecast``, and what ``evaluate`` and ``predict`` do with its models."""

import csv
import importlib.util
import io
import json
import math
import sys

import numpy as np
import pytest

from pylstm.saving import load, read_about

SMALL = ["--hidden", 6, "--epochs", 4, "--quiet"]
needs_statsmodels = pytest.mark.skipif(importlib.util.find_spec("statsmodels") is None, reason="needs statsmodels")
needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")


@pytest.fixture
def waves(tmp_path):
    """A CSV file with a season of 12 and a trend."""
    rows = [f"{2000 + k},{10 + 0.1 * k + math.sin(k * math.pi / 6):.5f},{k % 3}" for k in range(120)]
    path = tmp_path / "waves.csv"
    path.write_text("\n".join(["year,height,other", *rows]) + "\n")
    return path


@needs_statsmodels
@pytest.mark.parametrize(("name", "beaten"), [("sunspots", "naive"), ("co2", "seasonal_naive")])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_defaults_beat_the_baselines(run, name, beaten, seed):
    found = run("train", "forecast", name, "--json", "--quiet", "--seed", seed).json
    assert found["mae_ratio_to"][beaten] < (0.7 if name == "sunspots" else 0.5)
    assert found["mae_ratio_to"]["naive"] < 0.7


@needs_statsmodels
def test_what_a_user_reads(run):
    done = run("train", "forecast", "co2", "--epochs", 4, "--hidden", 6)
    lines = done.out.splitlines()
    assert done.status == 0 and done.err == ""
    if importlib.util.find_spec("matplotlib"):
        assert lines.pop(-2) == "picture pylstm-forecast.png"
    if importlib.util.find_spec("statsforecast"):
        assert lines.pop(-2).startswith("AutoETS ")
    assert lines[0] == (
        "series  co2 of statsmodels: 526 steps of one month by 'month', 1958-03..2001-12; 59 missing values "
        "interpolated; the last 12 held out"
    )
    assert lines[1].startswith(
        "model   lstm, 6 units, float32, seed 0; sees differences from the season before, 40 steps of them, season 12"
    )
    assert lines[-7] == "method  1.00 smoothing"
    lines.pop(-7)
    assert lines[-7].startswith("done    4 epochs, ") and lines[-1] == "saved   pylstm-forecast.safetensors"
    assert [line.split("  ")[0] for line in lines[-5:-1]] == ["forecast", "model", "naive", "seasonal naive (12 steps)"]
    assert lines[2].startswith("  10%  step 4/40, epoch 0, loss ")


def test_a_file(run, waves):
    done = run(
        "train", "forecast", waves, "--column", "height", "--time-column", "year", "--season", 12, "--json", *SMALL
    )
    found, values = done.json, np.loadtxt(waves, delimiter=",", skiprows=1)[:, 1]
    assert done.err == "" and found["steps"] == 120 and found["column"] == "height"
    assert found["measured"] == values[-12:].tolist() and found["model"]["difference"] == "season"
    seasonal = np.abs(values[-24:-12] - values[-12:])
    assert found["errors"]["seasonal_naive"]["mae"] == pytest.approx(seasonal.mean())
    assert found["errors"]["naive"]["mae"] == pytest.approx(np.abs(values[-13] - values[-12:]).mean())
    error = np.array(found["forecast"]) - values[-12:]
    assert found["errors"]["model"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    ratio = np.abs(error).mean() / seasonal.mean()
    assert found["mae_ratio_to"]["seasonal_naive"] == pytest.approx(ratio)
    model = load("pylstm-forecast.safetensors")
    assert model.predict(12, history=values[:108]).tolist() == found["forecast"]
    assert model.tails[0][-1, 0] == values[107]  # the hold-out was not seen


def test_a_longer_hold_out_is_forecast_in_pieces(run, waves):
    arguments = ["train", "forecast", waves, "--column", "height", "--horizon", 5, "--hold-out", 0.1, "--json", *SMALL]
    found = run(*arguments).json
    values = np.loadtxt(waves, delimiter=",", skiprows=1)[:, 1]
    assert (found["horizon"], found["hold_out"], found["season"]) == (5, 12, 12)
    assert found["errors"]["seasonal_naive"]["mae"] > 1
    model = load("pylstm-forecast.safetensors")
    pieces = [model.predict(n, history=values[: 108 + start]) for start, n in ((0, 5), (5, 5), (10, 2))]
    assert np.concatenate(pieces).tolist() == found["forecast"]


def test_validation_is_the_end_of_what_is_trained_on(run, waves):
    options = ["--column", "height", "--validation", 0.2, "--patience", 1, "--lr", 0.1, "--hidden", 6, "--epochs", 80]
    found = run("train", "forecast", waves, *options, "--json", "--quiet").json
    assert found["stopped"] == "early" and len(found["validation_losses"]) == found["epochs"] < 80


@pytest.mark.parametrize("difference", ["none", "step", "season"])
def test_differences(run, waves, difference):
    arguments = ["--column", "height", "--season", 12, "--difference", difference, "--cell", "gru", "--layers", 2]
    found = run("train", "forecast", waves, *arguments, "--log", "--json", *SMALL).json
    assert found["model"]["difference"] == difference and found["model"]["cell"] == "gru"
    ready = load("pylstm-forecast.safetensors").preparation
    assert (ready.season, ready.difference, ready.log) == (12 * (difference == "season"), difference == "step", True)


def test_the_same_seed_gives_the_same_numbers(run, waves):
    def forecast(seed):
        options = ["--column", "height", "--seed", seed, "--net-alone", "--json", *SMALL]
        return run("train", "forecast", waves, *options).json["forecast"]

    assert forecast(3) == forecast(3) != forecast(4)


@needs_matplotlib
def test_plots(run, waves, tmp_path):
    options = ["--plot", "a.png", "--validation", 0.2, "--json", *SMALL]
    done = run("train", "forecast", waves, "--column", "height", *options)
    assert done.status == 0 and done.err == "plot: a.png\n"
    done = run("predict", "pylstm-forecast.safetensors", "--interval", 0.5, "--plot", "b.svg")
    assert done.status == 0 and done.err == "plot: b.svg\n"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "b.svg").read_text()[:500]


def test_a_checkpoint_resumes_with_the_same_bits(run, waves, tmp_path):
    options = [waves, "--column", "height", "--net-alone", "--hidden", 6, "--quiet", "--batch-size", 4]
    from pylstm.training import trainer

    stop = trainer.Trainer._end_epoch

    def end(self):
        stop(self)
        if self.epoch == 3:
            self._stop = "interrupted"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.Trainer, "_end_epoch", end)
        done = run("train", "forecast", *options, "--epochs", 6, "--checkpoint", "c", "--save", "half")
        assert done.status == 130 and "interrupted after 3 epochs" in done.out
    assert load("half").predict(2).shape == (2,)
    done = run(
        "train", "forecast", *options[:-3], "--batch-size", 4, "--epochs", 6, "--resume", "c", "--save", "resumed"
    )
    shares = [int(line[:5]) for line in done.out.replace("%  step", " ").splitlines() if ", epoch " in line]
    assert done.status == 0 and shares[0] > 50 and shares[-1] == 100
    assert run("train", "forecast", *options, "--epochs", 6, "--save", "whole").status == 0
    assert load("resumed").predict(9).tolist() == load("whole").predict(9).tolist() != load("half").predict(9).tolist()


def test_evaluate_repeats_the_training(run, waves):
    before = run("train", "forecast", waves, "--column", "height", "--season", 12, "--json", *SMALL).json
    found = run("evaluate", "pylstm-forecast.safetensors", "--json").json
    assert {key: found[key] for key in ("errors", "forecast", "season")} == {
        key: before[key] for key in ("errors", "forecast", "season")
    }
    done = run("evaluate", "pylstm-forecast.safetensors", "--hold-out", 24, "--horizon", 6, "--season", 3)
    assert done.err == "note: 12 of the 24 steps were trained on\n"
    assert "the last 24 steps, 2096..2119, forecast 6 at a time" in done.out and "seasonal naive (3 steps)" in done.out


def test_evaluate_on_another_file_and_on_changed_data(run, waves, tmp_path):
    run("train", "forecast", waves, "--column", "height", *SMALL)
    other = tmp_path / "other.csv"
    other.write_text(waves.read_text().replace("height", "level"))
    done = run("evaluate", "pylstm-forecast.safetensors", other, "--column", "level")
    assert done.status == 0 and done.err == ""
    assert "unknown column 'height'" in run("evaluate", "pylstm-forecast.safetensors", other).err
    waves.write_text(waves.read_text() + "2120,22.5,0\n")
    assert "not those of the training any more" in run("evaluate", "pylstm-forecast.safetensors").err


def test_predict_goes_on_after_the_end(run, waves):
    options = ["--column", "height", "--season", 12, "--net-alone", *SMALL]
    run("train", "forecast", waves, *options)
    done = run("predict", "pylstm-forecast.safetensors", "--interval", 0.8)
    assert done.status == 2 and "`pylstm train forecast`: --validation 0.2" in done.err
    run("train", "forecast", waves, "--validation", 0.2, *options)
    values = np.loadtxt(waves, delimiter=",", skiprows=1)[:, 1]
    done = run("predict", "pylstm-forecast.safetensors", "--steps", 7, "--interval", 0.8)
    rows = list(csv.reader(io.StringIO(done.out)))
    assert done.err == "" and rows[0] == ["year", "height", "low", "high"]
    assert [row[0] for row in rows[1:]] == [str(year) for year in range(2120, 2127)]
    model = load("pylstm-forecast.safetensors")
    expected = model.predict(7, history=values)
    assert [float(row[1]) for row in rows[1:]] == pytest.approx(expected.tolist(), rel=1e-8)
    assert all(float(low) < float(high) for *_, low, high in rows[1:])
    found = run("predict", "pylstm-forecast.safetensors", waves, "--json").json
    assert found["after"] == "2119" and found["times"][0] == "2120" and len(found["forecast"]) == 12
    assert found["forecast"][:7] == expected.tolist()


def test_a_file_says_what_it_was_trained_on(run, waves):
    run("train", "forecast", waves, "--column", "height", "--horizon", 4, *SMALL)
    about = read_about("pylstm-forecast.safetensors")
    assert about["data"] == str(waves) and about["reading"]["column"] == ["height"] and about["horizon"] == 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "2001,10.3,0",
            "line 5, column 1 ('year'): '2001': not after the time of the row before: sort=True (--sort)",
        ),
        ("2002,10.3,0", "waves.csv, line 5, column 1 ('year'): '2002': the same time as in the row before"),
        ("2003,ten,0", "waves.csv, line 5, column 2 ('height'): 'ten' is not a number"),
        ("2003,,0", "waves.csv, line 5, column 2 ('height'): a missing value, ''"),
        ("2003,1,2,3", "waves.csv, line 5, column 4: 4 fields, but the header in line 1 has 3"),
        ("2003", "waves.csv, line 5, column 2: 1 fields, but the header in line 1 has 3"),
    ],
)
def test_bad_files(run, waves, line, message):
    lines = waves.read_text().splitlines()
    lines[4] = line
    waves.write_text("\n".join(lines))
    done = run("train", "forecast", waves, "--column", "height", "--time-column", "year", *SMALL)
    assert done.status == 2 and done.out == "" and message in done.err and done.err.count("\n") == 1


def test_missing_values_can_be_interpolated(run, waves):
    whole = waves.read_text().splitlines()
    waves.write_text("\n".join([*whole[:4], "2003,,0", *whole[5:]]))
    done = run("train", "forecast", waves, "--column", "height", "--interpolate", *SMALL[:-1])
    assert done.status == 0 and "; 1 missing values interpolated; " in done.out
    assert run("evaluate", "pylstm-forecast.safetensors").status == 0  # it remembers to interpolate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv: neither a file nor a data set (known: co2, sunspots)"),
        (["waves.csv"], "name the column of the series: --column height or other"),
        (["waves.csv", "--column", "depth"], "unknown column 'depth' (known: 'year', 'height', 'other')"),
        (["sunspots", "--column", "y"], "--column: not for the data set sunspots"),
        (["sunspots", "--every", "week"], "--every: not for the data set sunspots"),
        (["waves.csv", "--column", "height", "--every", "week"], "--every applies only to the data set co2"),
        (["waves.csv", "--column", "height", "--horizon", 0], "--horizon must be at least 1, got 0"),
        (["waves.csv", "--column", "height", "--hold-out", 119], "--hold-out 119 leaves 1 of 120 steps"),
        (["waves.csv", "--column", "height", "--horizon", 500], "--horizon 500 holds out as many steps"),
        (["waves.csv", "--column", "height", "--window", 500], "--window must be from 1 to "),
        (["waves.csv", "--column", "height", "--layers", 0], "argument --layers: must be at least 1, got 0"),
        (["waves.csv", "--column", "height", "--batch-size", "a"], "--batch-size: must be an integer, got 'a'"),
        (["waves.csv", "--column", "height", "--hold-out", 2.5], "--hold-out must be a number of steps, or a share"),
        (["waves.csv", "--column", "height", "--hold-out", "nan"], "--hold-out must be a number of steps, or a share"),
        (["waves.csv", "--column", "height", "--season", -1], "--season must be 0 or more"),
        (["waves.csv", "--column", "height", "--difference", "season"], "--difference season needs --season N"),
        (["waves.csv", "--column", "height", "--season", 118, "--hold-out", 5], "the season of 118 needs as many"),
        (["waves.csv", "--column", "height", "--cell", "lstn"], "lstn"),
        (["waves.csv", "--column", "height", "--save", "no/where"], "--save no/where: the folder"),
        (["waves.csv", "--column", "height", "--plot", "a.txt"], "--plot a.txt: the name must end in .png, .svg or"),
        (["waves.csv", "--column", "height", "--resume", "none"], "--resume none: the file does not exist"),
        (["waves.csv", "--column", "height", "--epochs", 0], "argument --epochs: must be at least 1, got 0"),
        (["waves.csv", "--column", "height", "--lr", "x"], "argument --lr: must be a number, got 'x'"),
    ],
)  # fmt: skip
def test_wrong_arguments(run, waves, tmp_path, arguments, message):
    done = run("train", "forecast", *arguments, "--hidden", 6, "--quiet")
    assert done.status == 2 and done.out == "" and message in done.err and "Traceback" not in done.err
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_is_said_and_nothing_saved(run, waves, tmp_path):
    done = run("train", "forecast", waves, "--column", "height", "--lr", 1e30, "--cell", "rnn_relu", *SMALL)
    assert done.status == 1 and "training diverged at step" in done.err and "no model was saved" in done.err
    assert not list(tmp_path.glob("*.safetensors"))


def test_json_has_no_nan(run, waves):
    waves.write_text("y\n" + "\n".join(["1"] * 40) + "\n")
    done = run("train", "forecast", waves, "--json", *SMALL)
    assert json.loads(done.out, parse_constant=lambda name: pytest.fail(name))["mae_ratio_to"]["naive"] is None


def test_what_was_chosen_is_said(run, waves, tmp_path):
    found = run("train", "forecast", waves, "--column", "height", "--json", *SMALL).json
    assert found["model"]["cycle"] == 12 and found["model"]["method"] == ["1.00 smoothing"] and found["notes"] == []
    assert load("pylstm-forecast.safetensors").describe() == found["model"]["method"]
    ends = run("predict", "pylstm-forecast.safetensors", "--interval", 0.5, "--steps", 2)  # without --validation
    assert ends.status == 0 and ends.out.startswith("year,height,low,high\n2120,")
    walk = np.cumsum(np.random.default_rng(4).normal(size=200))
    (tmp_path / "walk.csv").write_text("\n".join(["y", *map(str, walk)]) + "\n")
    done = run("train", "forecast", "walk.csv", "--column", "y", *SMALL)
    lines = done.out.splitlines()
    assert "method  1.00 naive" in lines and done.err == ""
    assert any(line.startswith("note    in the back-test nothing was better by 10 %") for line in lines)


@needs_matplotlib
def test_the_picture_has_a_band_without_validation(run, waves, monkeypatch):
    from pylstm.plots import fits

    drawn, draw = [], fits.draw_future
    monkeypatch.setattr(fits, "draw_future", lambda *given: (drawn.append(given), draw(*given)))
    run("train", "forecast", waves, "--column", "height", "--plot", "a.png", *SMALL)
    low, high = drawn[0][3]
    assert (low < drawn[0][2]).all() and (drawn[0][2] < high).all() and "90%" in drawn[0][4]


@pytest.mark.parametrize("loss", ["negative_binomial", "0.1,0.5,0.9", "gaussian"])
def test_losses(run, tmp_path, loss):
    counts = np.random.default_rng(0).poisson(np.exp(1.5 + np.sin(np.arange(140) * 2 * np.pi / 7)))
    (tmp_path / "calls.csv").write_text("\n".join(["calls", *map(str, counts)]) + "\n")
    found = run("train", "forecast", "calls.csv", "--column", "calls", "--loss", loss, "--json", *SMALL).json
    assert found["model"]["loss"] == ([0.1, 0.5, 0.9] if "," in loss else loss)
    assert found["model"]["method"] == ["net, naive was better in the back-test"] and len(found["notes"]) == 1
    done = run("predict", "pylstm-forecast.safetensors", "--interval", 0.8, "--steps", 3)
    rows = [[float(each) for each in row[1:]] for row in list(csv.reader(io.StringIO(done.out)))[1:]]
    assert done.err == "" and all(low <= point <= high for point, low, high in rows)
    if loss == "negative_binomial":
        assert all(each == round(each) for row in rows for each in row)


def test_wrong_losses(run, waves):
    done = run("train", "forecast", waves, "--column", "height", "--loss", "x", *SMALL)
    assert done.status == 2 and "argument --loss: must be one of mean_squared_error, huber, gaussian" in done.err
    done = run("train", "forecast", waves, "--column", "height", "--loss", "poisson", *SMALL)
    assert done.status == 2 and "loss='poisson' needs counts, whole numbers from 0, but y has 10" in done.err


def test_baselines_have_the_season_that_the_values_show(run, waves):
    found = run("train", "forecast", waves, "--column", "height", "--json", *SMALL).json
    assert found["season"] == found["model"]["cycle"] == 12 and "seasonal_naive" in found["mae_ratio_to"]
    assert found["errors"]["seasonal_naive"]["mae"] == pytest.approx(1.2, rel=1e-3)  # 12 steps of the trend
    none = run("train", "forecast", waves, "--column", "height", "--season", 0, "--json", *SMALL).json
    assert none["season"] == 0 and "seasonal_naive" not in none["mae_ratio_to"]


ETS = """
import numpy as np
class AutoETS:
    def __init__(self, season_length):
        pass
    def forecast(self, y, h):
        if len(y) < 5:
            raise NotImplementedError("tiny datasets")
        np.ones(1) / np.zeros(1)  # as it does of few steps: nothing is to be said of it
        return {"mean": np.full(h, y[-1] + 1.0)}
"""


@pytest.mark.parametrize(("rows", "there"), [(5, False), (20, True)])
def test_a_baseline_that_cannot_take_so_few_steps_is_left_out(run, tmp_path, monkeypatch, rows, there):
    package = tmp_path / "packages" / "statsforecast"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(ETS)
    for name in [each for each in sys.modules if each.partition(".")[0] == "statsforecast"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(package.parent))
    path = tmp_path / "short.csv"
    path.write_text("v\n" + "".join(f"{k * k % 7}\n" for k in range(rows)))
    found = run("train", "forecast", path, "--json", *SMALL).json
    assert ("autoets" in {name.lower() for name in found["errors"]}) == there and "naive" in found["errors"]
    for name in ("statsforecast", "statsforecast.models"):
        sys.modules.pop(name, None)


def test_a_distribution_is_back_tested_too(run, tmp_path):
    counts = np.random.default_rng(0).poisson(5, 96)
    (tmp_path / "calls.csv").write_text("calls\n" + "\n".join(map(str, counts)) + "\n")
    done = run("train", "forecast", "calls.csv", "--loss", "poisson", "--epochs", 2, "--json", "--quiet", "--no-plot")
    assert done.json["model"]["method"][0].startswith("net") and done.json["validation_losses"]
    assert load("pylstm-forecast.safetensors").recalibration is not None
