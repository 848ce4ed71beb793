"""``pylstm train classify``, and what ``evaluate`` and ``predict`` do with its models."""

import csv
import importlib.util
import io
import signal
import subprocess
import sys

import numpy as np
import pytest

from pylstm.saving import load, read_about

SMALL = ["--hidden", 8, "--epochs", 3, "--quiet"]
MODEL = "pylstm-classify.safetensors"


def needs(name):
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"needs {name}")


@pytest.fixture
def walks(tmp_path):
    """A CSV file of sequences of 3 to 8 steps that go up, go down, or stay."""
    rng, rows = np.random.default_rng(0), ["who,t,x,noise,kind"]
    for number in range(60):
        kind = ("down", "stay", "up")[number % 3]
        x = rng.normal()
        for t in range(rng.integers(3, 9)):
            x += (number % 3 - 1) + 0.1 * rng.normal()
            rows.append(f"w{number},{t},{x:.4f},{rng.normal():.4f},{kind}")
    path = tmp_path / "walks.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


READ = ["--label", "kind", "--id", "who", "--columns", "x,noise"]


@needs("sklearn")
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_promise_of_digits(run, seed):
    found = run("train", "classify", "digits", "--json", "--quiet", "--seed", seed).json
    assert found["test"]["sequences"] == 360 and found["test"]["accuracy"] >= 0.97


@needs("aeon")
@pytest.mark.slow
def test_the_promise_of_japanese_vowels(run):
    found = run("train", "classify", "japanese-vowels", "--json", "--quiet").json
    assert found["test"]["sequences"] == 370 and found["test"]["accuracy"] >= 0.94


@needs("sklearn")
def test_what_a_user_reads(run):
    done = run("train", "classify", "digits", "--hidden", 16, "--epochs", 2)
    lines = done.out.splitlines()
    assert done.status == 0 and done.err == ""
    assert lines[0] == (
        "data    digits of scikit-learn: 1437 sequences to train on, 360 to test, 8 steps of 8, 10 classes"
    )
    assert lines[1] == "model   lstm, 16 units, float32, seed 0; reads last"
    assert [line[:5] for line in lines[2:12]] == [f"{10 * k:4}%" for k in range(1, 11)]
    assert lines[2].startswith("  10%  step 9/90, epoch 0, loss ") and lines[12].startswith("done    2 epochs, ")
    counts = np.array([[int(n) for n in line.replace(".", "0").split()[1:]] for line in lines[15:25]])
    right, of = int(np.trace(counts)), int(counts.sum())
    assert of == 360 and lines[13].startswith(f"test: {right} of {of} right, accuracy {right / of:.2%}, ")
    assert lines[25] == f"saved   {MODEL}"


def test_a_file_of_steps(run, walks):
    found = run("train", "classify", walks, *READ, "--hidden", 8, "--epochs", 40, "--quiet", "--json").json
    assert found["test"]["sequences"] == 12 and found["test"]["classes"] == ["down", "stay", "up"]
    assert np.sum(found["test"]["confusion"], axis=1).tolist() == [4, 4, 4]
    assert found["test"]["accuracy"] >= 0.9 and found["test"]["most_frequent_class"] == pytest.approx(1 / 3)
    assert found["train_accuracy"] >= 0.9
    assert read_about(MODEL)["reading"]["columns"] == ["x", "noise"]


@needs("sklearn")
@pytest.mark.parametrize("method", ["auto", "random"])
def test_the_net_is_that_of_the_estimator(run, walks, method):
    from pylstm import SequenceClassifier
    from pylstm.commands._shared.sequences import read_classification

    done = run("train", "classify", walks, *READ, "--json", "--method", method, "--seed", 3).json
    reading = {"label": "kind", "id": "who", "columns": ["x", "noise"]}
    data = read_classification(str(walks), reading, None, 3)
    net = SequenceClassifier(random_state=3, method=method).fit(data.x, np.array(data.classes)[data.y])
    assert (done["model"]["method"], done["model"]["scores"]) == (net.method_, net.scores_)
    assert done["test"]["accuracy"] == net.score(data.x_test, np.array(data.classes)[data.y_test])
    found = run("evaluate", MODEL, "--json").json
    assert {key: found[key] for key in done["test"]} == done["test"]
    predicted = run("predict", MODEL, walks, "--json").json["sequences"]
    groups = [*data.x, *data.x_test]
    assert len(predicted) == len(groups) and predicted[0]["predicted"] in data.classes


@needs("sklearn")
def test_what_a_user_reads_of_a_chosen_net(run):
    done = run("train", "classify", "digits")
    lines = done.out.splitlines()
    assert done.status == 0 and done.err == ""
    assert lines[1] == "model   chosen by the data, float32, seed 0"
    assert lines[2].startswith("method  random, the right class for 9") and lines[3].startswith("done    ")
    assert "right, accuracy 98." in lines[4]
    done = run("train", "classify", "digits", "--method", "random", "--layers", 2)
    assert done.status == 2 and "--method random: --layers is of a trained net" in done.err


def test_rows_that_may_be_steps_are_told_of(run, walks, tmp_path):
    path = tmp_path / "numbered.csv"
    path.write_text(walks.read_text().replace("\nw", "\n"))
    said = "note: the rows of each 'who' follow one another and have one label: --id who reads them as a sequence"
    assert said in run("train", "classify", path, "--label", "kind", *SMALL).err
    assert "note" not in run("train", "classify", path, *READ, *SMALL).err
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *np.random.default_rng(0).permutation(lines[1:])]) + "\n")
    assert "note" not in run("train", "classify", path, "--label", "kind", *SMALL).err


def test_a_file_of_rows_and_a_test_file(run, tmp_path):
    rng = np.random.default_rng(1)
    for name, rows in (("train.csv", 80), ("test.csv", 20)):
        x = rng.normal(size=(rows, 5))
        lines = [",".join([f"{value:.4f}" for value in row] + ["ab"[int(row.sum() > 0)]]) for row in x]
        (tmp_path / name).write_text("\n".join(["a,b,c,d,e,class", *lines]))
    arguments = ["--label", "class", "--test", "test.csv", "--cell", "gru", "--bidirectional", "--layers", 2]
    found = run("train", "classify", "train.csv", *arguments, "--epochs", 30, "--hidden", 8, "--quiet", "--json").json
    assert found["test"]["sequences"] == 20 and found["test"]["accuracy"] >= 0.8
    assert found["model"]["bidirectional"] and found["model"]["layers"] == 2
    assert run("evaluate", MODEL, "--json").json["confusion"] == found["test"]["confusion"]


def test_the_same_seed_gives_the_same_numbers(run, walks):
    def losses(seed):
        return run("train", "classify", walks, *READ, "--seed", seed, "--json", *SMALL).json["losses"]

    assert losses(3) == losses(3) != losses(4)


def test_evaluate_repeats_the_training(run, walks):
    before = run("train", "classify", walks, *READ, "--seed", 5, "--json", *SMALL).json["test"]
    found = run("evaluate", MODEL, "--json").json
    assert {key: found[key] for key in before} == before and found["part"] == "test"
    whole = run("evaluate", MODEL, walks, "--json").json
    assert whole["sequences"] == 60 and whole["part"] == "all"
    assert "all: " in run("evaluate", MODEL, walks).out
    walks.write_text(walks.read_text().replace("w0,0,", "w0,9,", 1))
    assert run("evaluate", MODEL).err == ""  # that column is not read
    walks.write_text(walks.read_text() + "w99,0,1.0,1.0,up\n")
    assert "not those of the training any more" in run("evaluate", MODEL).err


def test_predict_reads_files_without_labels(run, walks, tmp_path):
    run("train", "classify", walks, *READ, *SMALL)
    labelled = run("predict", MODEL, walks)
    lines = walks.read_text().splitlines()
    (tmp_path / "new.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in lines))
    done = run("predict", MODEL, "new.csv")
    assert done.out == labelled.out and done.err == ""
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["sequence"] for row in rows] == [f"w{k}" for k in range(60)]
    found = run("predict", MODEL, "new.csv", "--json").json["sequences"]
    for row, each in zip(rows, found):
        best = max(each["probabilities"], key=each["probabilities"].get)
        assert row["predicted"] == each["predicted"] == best
        assert float(row["probability"]) == pytest.approx(each["probabilities"][best], abs=1e-6)
        assert sum(each["probabilities"].values()) == pytest.approx(1)
    matrix = np.array(run("evaluate", MODEL, walks, "--json").json["confusion"])
    assert matrix.sum(axis=0).tolist() == [sum(r["predicted"] == c for r in rows) for c in ("down", "stay", "up")]


def test_a_checkpoint_resumes_with_the_same_bits(run, walks, tmp_path):
    options = [walks, *READ, "--hidden", 8, "--quiet", "--keep-checkpoint"]
    assert run("train", "classify", *options, "--epochs", 4, "--checkpoint", "c", "--save", "whole").status == 0
    assert run("train", "classify", *options, "--epochs", 2, "--checkpoint", "d", "--save", "half").status == 0
    other = run("train", "classify", *options, "--epochs", 4, "--resume", "c", "--hidden", 9)
    assert other.status == 2 and "belongs to another run" in other.err
    both = run("train", "classify", *options, "--resume", "c", "--checkpoint", "d")
    assert both.status == 2 and "leave out --checkpoint" in both.err
    assert run("train", "classify", *options, "--epochs", 4, "--resume", "c", "--save", "again").status == 0
    assert run("evaluate", "again").out == run("evaluate", "whole").out
    assert run("train", "classify", *options[:-1], "--epochs", 4, "--resume", "c").status == 0
    assert not (tmp_path / "c").exists() and (tmp_path / "d").exists()  # a finished run removes its own
    assert all(np.array_equal(a.flat, b.flat) for a, b in zip(load("again").net.params, load("whole").net.params))


def test_validation_and_patience(run, walks):
    options = [*READ, "--hidden", 8, "--epochs", 200, "--validation", 0.25, "--patience", 3, "--lr", 0.05]
    found = run("train", "classify", walks, *options, "--json", "--quiet").json
    losses = found["validation_losses"]
    assert found["stopped"] == "early" and found["epochs"] == len(losses) < 200
    assert len(losses) - 1 - losses.index(min(losses)) == 3
    done = run("train", "classify", walks, *options, "--quiet")
    first = f"done    stopped early, after {len(losses)} epochs, "
    assert done.out.startswith(first) and f", validation {min(losses):.4g} at best, " in done.out


def test_a_cell_with_a_size_of_its_own(run, walks):
    done = run("train", "classify", walks, *READ, "--cell", "lstmp", "--size", "proj_size=3", "--json", *SMALL)
    assert load(MODEL).net.layer.output_size == 3
    assert run("evaluate", MODEL, "--json").json["confusion"] == done.json["test"]["confusion"]


@needs("matplotlib")
def test_a_plot(run, walks, tmp_path):
    done = run("train", "classify", walks, *READ, "--plot", "a.png", "--validation", 0.2, *SMALL)
    assert done.status == 0 and done.err == "plot: a.png\n"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv: neither a file nor a data set (known: digits, japanese-vowels)"),
        (["walks.csv"], "name the column that holds the class: --label NAME"),
        (["walks.csv", "--label", "kind"], "walks.csv, line 2, column 1 ('who'): 'w0' is not a number"),
        (["walks.csv", "--label", "sort"], "unknown column 'sort'"),
        (["walks.csv", "--label", "kind", "--id", "kind"], "walks.csv, line 2, column 1 ('who'): 'w0' is not a number"),
        (["digits", "--label", "kind"], "--label: not for the data set digits"),
        (["digits", "--test", "0.5"], "--test: not for the data set digits"),
        (["walks.csv", *READ, "--test", "0"], "--test must be a share between 0 and 1, or another CSV file, got 0"),
        (["walks.csv", *READ, "--test", "no.csv"], "no.csv"),
        (["walks.csv", *READ, "--cell", "lstn"], "lstn"),
        (["walks.csv", *READ, "--hidden", "0"], "argument --hidden: must be at least 1, got 0"),
        (["walks.csv", *READ, "--read", "every"], "invalid choice"),
        (["walks.csv", *READ, "--size", "proj_size"], "--size must be NAME=N, such as proj_size=16, got 'proj_size'"),
        (["walks.csv", *READ, "--cell", "lstmp"], "needs the size 'proj_size'"),
        (["walks.csv", *READ, "--cell", "cfc"], "cell 'cfc' needs aux['dt'] at every step"),
        (["walks.csv", *READ, "--patience", "2"], "--patience needs --validation"),
        (["walks.csv", *READ, "--validation", "1"], "--validation must be a share between 0 and 1, got 1"),
        (["walks.csv", *READ, "--delimiter", ";;"], "argument --delimiter: must be one character, got ';;'"),
    ],
)
def test_wrong_arguments(run, walks, tmp_path, arguments, message):
    done = run("train", "classify", *arguments, "--epochs", 1, "--quiet")
    assert done.status == 2 and done.out == "" and message in done.err and "Traceback" not in done.err
    assert not list(tmp_path.glob("*.safetensors"))


def test_one_class_is_refused(run, walks):
    walks.write_text(walks.read_text().replace("down", "up").replace("stay", "up"))
    assert "has one class only, 'up'" in run("train", "classify", walks, *READ, *SMALL).err


def test_a_signal_ends_the_fit_and_is_the_status(run, walks):
    from pylstm.training.trainer import Trainer

    end = Trainer._end_epoch

    def end_and_signal(self):
        end(self)
        signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_end_epoch", end_and_signal)
        done = run("train", "classify", walks, *READ, *SMALL)
    assert done.status == 128 + signal.SIGTERM and "interrupted after 1 epoch, " in done.out
    assert run("evaluate", MODEL, walks).status == 0  # the model was saved


def test_ten_lines_of_progress_however_many_epochs(run, walks):
    done = run("train", "classify", walks, *READ, "--hidden", 4, "--epochs", 40)
    shares = [line.split()[0] for line in done.out.splitlines() if " epoch " in line]
    assert shares == [f"{10 * k}%" for k in range(1, 11)]


def test_labels_that_the_model_does_not_know(run, walks, tmp_path):
    run("train", "classify", walks, *READ, *SMALL)
    (tmp_path / "new.csv").write_text("who,t,x,noise,kind\nz,0,1,2,sideways\n")
    done = run("evaluate", MODEL, "new.csv")
    assert done.status == 2 and "new.csv, sequence z: unknown class 'sideways' (known: down, stay, up)" in done.err
    (tmp_path / "new.csv").write_text("who,t,x,kind\nz,0,1,up\n")
    assert "unknown column 'noise'" in run("predict", MODEL, "new.csv").err


def test_warnings_are_one_line(walks):
    command = [sys.executable, "-P", "-m", "pylstm", "train", "classify", walks, *READ, *SMALL, "--dropout", "0.5"]
    done = subprocess.run([*map(str, command)], cwd=walks.parent, capture_output=True, text=True, check=True)
    assert done.stderr == "pylstm: warning: dropout=0.5 acts between layers: with num_layers=1 it does nothing\n"


@pytest.mark.parametrize("command", [("train", "classify", "digits"), ("train", "text"), ("generate", "model")])
def test_a_seed_is_not_negative(run, command):
    done = run(*command, "--seed", -1)
    assert done.status == 2 and "argument --seed: must be 0 or more, got -1" in done.err
