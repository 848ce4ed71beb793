"""Commands on saved models: ``generate``, ``evaluate`` of a text, and files that are no model of the task."""

import importlib.util
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pylstm import cli
from pylstm.feedforward.linear import Linear
from pylstm.saving import load, save
from pylstm.text.trainer import text_bits

COMMAND = [sys.executable, "-P", "-c", "from pylstm.cli import main; raise SystemExit(main())"]
TEXT = "pylstm-text.safetensors"


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("".join(f"{a} and {b} are {a}{b}.\n" for a, b in itertools.product("abcdefghijkl", repeat=2)))
    return path


@pytest.fixture
def text_model(run, book):
    options = ["--hidden", 12, "--batch-size", 4, "--length", 16, "--steps", 30, "--keep-checkpoint"]
    return run("train", "text", book, *options, "--json", "--quiet").json


def test_json_of_text(run, book, tmp_path, text_model):
    assert text_model["steps"] == len(text_model["losses"]) == 30 and "sample" not in text_model
    done = run("train", "text", book, "--hidden", 12, "--batch-size", 4, "--length", 16, "--steps", 30, "--json")
    assert done.json["losses"] == text_model["losses"] and len(done.json["sample"]) == 400
    assert "done" not in done.err and "100%  step 30" in done.err
    assert done.json["bits_per_character"] == text_model["bits_per_character"]


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")
def test_plot_of_text(run, book, tmp_path):
    options = ["--hidden", 12, "--batch-size", 4, "--length", 16, "--steps", 3]
    done = run("train", "text", book, *options, "--plot", "a.png", "--quiet")
    assert done.err == "plot: a.png\n" and (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_generate(run, text_model):
    done = run("generate", TEXT, "--prompt", "a and", "--characters", 50, "--temperature", 0.5, "--seed", 3)
    model = load(TEXT)
    assert done.out == model.generate(50, prompt="a and", temperature=0.5, seed=3) + "\n" and done.err == ""
    again = run("generate", TEXT, "--prompt", "a and", "--characters", 50, "--temperature", 0.5, "--seed", 3, "--json")
    assert again.json["text"] == done.out[:-1] and again.json["prompt"] == "a and"
    assert run("generate", TEXT, "--prompt", "a and", "--characters", 50, "--seed", 4).out != done.out
    assert run("generate", TEXT, "--prompt", "a%€").err == "note: the model does not know '%', '€' of the prompt\n"


def test_the_generator_streams_what_the_whole_sequence_gives(text_model):
    model = load(TEXT)
    drawn = model.generate(40, prompt="b and", temperature=0.0)
    indices = model.vocabulary.encode("b and" + drawn)[:, None]
    logits = model.logits(indices)[0][:, 0]
    logits[:, 0] = -np.inf
    assert model.vocabulary.decode(logits.argmax(axis=1)[4:-1]) == drawn


def test_generate_prints_each_character_as_it_is_drawn(text_model, monkeypatch):
    seen = []

    class Output:
        def write(self, text):
            seen.append(text)

        def flush(self):
            seen.append("flush")

    monkeypatch.setattr(sys, "stdout", Output())
    assert cli.main(["generate", TEXT, "--characters", "5", "--prompt", "a and"]) == 0
    drawn = [each for each in seen if each]
    assert drawn[1:10:2] == ["flush"] * 5 and all(len(each) == 1 for each in drawn[:10:2])
    assert drawn[10:] == ["\n", "flush"]


@pytest.mark.skipif(os.name == "nt", reason="this machine has no POSIX signals")
def test_generate_prints_while_it_draws_and_ends_with_ctrl_c(text_model, tmp_path):
    command = [*COMMAND, "generate", TEXT, "--characters", "1000000000"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell lets us ignore, a child ignores
    try:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(process.stdout.read(20)) == 20
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--characters", 0], "--characters must be at least 1"),
        (["--temperature", -1], "temperature must be 0 or more"),
        (["--prompt", ""], "prompt must have at least one character"),
    ],
)
def test_generate_refuses(run, text_model, arguments, message):
    done = run("generate", TEXT, *arguments)
    assert done.status == 2 and done.out == "" and message in done.err


def test_evaluate_of_a_text(run, book, text_model, tmp_path):
    found = run("evaluate", TEXT, "--json").json
    bits = text_model["bits_per_character"]
    assert found["held_out"] and found["data"] == str(book) and found["unknown"] == 0
    assert (found["bits_per_character"], found["bigram_model"]) == (bits["validation"], bits["bigram_model"])
    assert f"bits per character: {bits['validation']:.3f}, bigram model" in run("evaluate", TEXT).out
    other = tmp_path / "other.txt"
    other.write_text("l and k are lk. %\n" * 80)
    found = run("evaluate", TEXT, other, "--json").json
    model = load(TEXT)
    indices = model.vocabulary.encode(other.read_text())
    assert not found["held_out"] and found["bigram_model"] is None and found["unknown"] == 80
    assert found["bits_per_character"] == text_bits(model, indices) and found["characters"] == len(indices)
    book.write_text(book.read_text() + "more")
    assert "not those of the training any more" in run("evaluate", TEXT).err


def test_models_of_other_tasks_and_other_files(run, text_model, tmp_path):
    save("layer", Linear(2, 2))
    (tmp_path / "cut").write_bytes((tmp_path / TEXT).read_bytes()[:-7])
    (tmp_path / "words").write_text("words")
    (tmp_path / "waves.csv").write_text("y\n" + "\n".join(str(k % 5) for k in range(60)))
    run("train", "forecast", "waves.csv", "--hidden", 4, "--epochs", 1, "--quiet", "--save", "series")
    for command, model, more, message in [
        ("predict", TEXT, [], f"holds a text model: use pylstm generate {TEXT}"),
        ("generate", "series", [], "series: holds a model of the task forecast, not a text model"),
        ("evaluate", "layer", [], "layer: holds a Linear, not a model that `pylstm train` saved"),
        ("predict", "none", [], "none"),
        ("evaluate", "words", [], "words: not a safetensors file"),
        ("generate", "cut", [], "cut short or damaged"),
        ("evaluate", f"{TEXT}.checkpoint", [], "a checkpoint of text, not a model"),
        ("evaluate", TEXT, ["--label", "x"], "--label: not for a model of the task text"),
        ("evaluate", TEXT, ["--season", 3], "--season: not for a model of the task text"),
        ("predict", "series", ["--columns", "x"], "--columns: not for a model of the task forecast"),
        ("predict", "series", ["--steps", 0], "--steps must be at least 1, got 0"),
        (
            "predict",
            "series",
            ["--steps", 99999999999],
            "--steps must be at most 100,000, got 99,999,999,999",
        ),
        ("predict", "series", ["--steps", 100001, "--interval", 0.9], "--steps must be at most 100,000, got 100,001"),
        ("predict", "series", ["--interval", 1.5], "--interval must be between 0 and 1"),
    ]:
        done = run(command, model, *more)
        assert (done.status, done.out) == (2, "") and message in done.err and done.err.count("\n") == 1


def test_a_model_that_does_not_say_its_data(run, text_model):
    save("plain", load(TEXT))
    done = run("evaluate", "plain")
    assert done.status == 2 and "plain: its training data are not recorded: pass DATA" in done.err


@pytest.mark.skipif(os.name == "nt", reason="this machine has no POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("task", ["classify", "forecast"])
def test_signals_leave_a_usable_model(tmp_path, task, number):
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'pq'[int(a + b > 0)]}" for a, b in rng.normal(size=(200, 2))]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,c", *rows]))
    data = ["--label", "c"] if task == "classify" else ["--column", "a"]
    command = [*COMMAND, "train", task, "data.csv", *data, "--epochs", "1000000", "--hidden", "4", "--checkpoint", "c"]
    command += ["--checkpoint-every", "0.05", "--save", "m", "--json"]
    command += ["--patience", "1000000", "--validation", "0.2"]  # nothing else ends it
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 60
    while not (tmp_path / "c").exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "Traceback" not in err
    found = json.loads(out)
    assert found["interrupted"] and found["saved"] == "m" and re.search(r"^model ", err, re.M)
    model = load(tmp_path / "m")
    x = np.ones((1, 2, 1)) if task == "classify" else 3
    assert len(model.predict(x)) == len(x if task == "classify" else range(3))


@pytest.mark.filterwarnings("ignore:in the back-test nothing was better")
@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="needs scikit-learn")
def test_estimators_are_models_of_their_task(run, tmp_path):
    from pylstm import Forecaster, SequenceClassifier

    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6, 1))
    y = np.where(x.sum(axis=(1, 2)) > 0, "up", "down")
    classifier = SequenceClassifier("gru", hidden_size=6, epochs=15, random_state=0).fit(x, y)
    save("c", classifier)
    rows = [",".join(map(str, [*row, label])) for row, label in zip(x[:, :, 0], y)]
    (tmp_path / "x.csv").write_text("\n".join(["a,b,c,d,e,f,way", *rows]))
    found = run("evaluate", "c", "x.csv", "--label", "way", "--json").json
    assert found["accuracy"] == pytest.approx(classifier.score(x.astype("f4"), y)) and found["sequences"] == 40
    series = np.sin(np.arange(80) / 3)
    save("f", Forecaster("gru", hidden_size=6, epochs=2, random_state=0).fit(series[:70]))
    (tmp_path / "y.csv").write_text("\n".join(["y", *map(repr, series.tolist())]))
    expected = load("f").predict(5, history=series).tolist()
    assert run("predict", "f", "y.csv", "--steps", 5, "--json").json["forecast"] == expected
    rows = run("predict", "f", "y.csv", "--steps", 5).out.splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "81", "82", "83", "84", "85"]
