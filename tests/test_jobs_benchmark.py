"""`benchmarks/jobs.py`: it runs with what is installed, and refuses to time contestants that compute something else."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("jax_compiles_once")
JOBS = Path(__file__).resolve().parents[1] / "benchmarks" / "jobs.py"
TINY = ["--quick", "--size", "3x6x5x7x9"]
LAYERS = {"lstm": ["W", "U", "b"], "gru": ["W", "U", "b", "b_m"], "formula": ["W", "U", "b", "p_i", "p_f", "p_o"]}
PEERS = ("torch", "jax", "keras")
NEEDED = {"keras": ("torch", "keras"), "onnxruntime": ("onnxruntime", "onnx")}


@pytest.fixture
def part(monkeypatch):
    """Imports a part of the benchmark by name."""
    monkeypatch.syspath_prepend(str(JOBS.parent))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    return lambda name: importlib.import_module(f"contest.jobs.{name}")


def jobs(*arguments, cwd, **environment):
    command = [sys.executable, str(JOBS), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def job_of(part, cell, text, wrong=None):
    """A small job, every third element of the array `wrong` changed."""
    tasks = part("tasks")
    job = tasks.Job.drawn(tasks.Task("small", 3, 6, 5, 7, 9, text=text), cell)
    if wrong:
        job[wrong].flat[1::3] += 0.1
    return job


def arrays(library, cell, text):
    """Those spoilt one by one; who takes a second to build a step is shown one: where losses agree, all are read."""
    names = [*LAYERS[cell], "head_weight", "head_bias", *(["embedding"] if text else [])]
    return ["U"] if library in ("jax", "keras") else names


def needs(library):
    for name in NEEDED.get(library, (library,)):
        pytest.importorskip(name)


@pytest.mark.slow
def test_a_quick_run_prints_ratios_and_writes_them(tmp_path):
    path = tmp_path / "found.json"
    done = jobs(*TINY, "--tasks", "text", "--cells", "lstm", "--peers", "torch", "--json", str(path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    (work,) = found["works"]
    assert [row["size"] for row in work["rows"]] == ["text"]
    for row in work["rows"]:
        assert all(0 < each["minimum"] <= each["median"] for each in row["contestants"].values())
        assert row["contestants"]["pylstm"]["peak_bytes"] is None or row["contestants"]["pylstm"]["peak_bytes"] > 1e7
        peers = [each["median"] for name, each in row["contestants"].items() if name != "pylstm"]
        assert row["ratios"] == [min(peers) / row["contestants"]["pylstm"]["median"] if peers else None]
    assert "## LSTM, a training step" in done.stdout and "| lstm-train " in done.stdout and "| all " in done.stdout
    again = jobs("--from", str(path), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.split("## ", 1)[1].split() == done.stdout.split("## ", 1)[1].split()


MACHINE = {"cpu": "a", "cores": 2, "level": "v3", "peak_gflops_float32": 1.0, "versions": {"torch": "2"}, "python": "3"}


def run_of(name, tasks, *, threads=None, **machine):
    """What --json writes of a run: of each task and contestant the milliseconds of a step."""
    rows = []
    for task, milliseconds in tasks.items():
        found = {
            library: {"median": each / 1e3, "minimum": each / 1e3, "samples": 3, "calls": 1, "peak_bytes": 5 * 10**7}
            for library, each in milliseconds.items()
        }
        best = min((each for library, each in milliseconds.items() if library != "pylstm"), default=None)
        ratio = best and best / milliseconds["pylstm"]
        rows.append({"size": task, "contestants": found, "ratios": [ratio], "wanted": None})
    nothing = dict.fromkeys(("mean", "worst", "worst_size", "wanted_mean", "met")) | {"label": "best / pylstm"}
    work = {"name": name, "title": f"{name}, work", "sizes": "", "rows": rows, "targets": [nothing]}
    return {"machine": MACHINE | machine, "threads": threads, "works": [work]}


def test_a_plot_of_earlier_results(tmp_path):
    """Of two runs that become one: a bar for each peer, its ratio at the end; in colours for light and dark pages."""
    pytest.importorskip("matplotlib")
    train = run_of("lstm-train", {"digits": {"pylstm": 20.0, "torch": 50.0, "jax": 246.0}})
    infer = run_of("gru-infer", {"digits": {"pylstm": 10.0, "torch": 7.3}})
    for name, found in {"train": train, "infer": infer}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(found))
    both = ("--from", "train.json", "--from", "infer.json")
    done = jobs(*both, "--json", "both.json", "--plot", "plot.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "20.0" in done.stdout and "| lstm-train " in done.stdout and "| gru-infer " in done.stdout
    light = (tmp_path / "plot.svg").read_text()
    assert all(f">{ratio}<" in light for ratio in ("2.50", "12.3", "0.73"))
    again = jobs("--from", "both.json", "--plot", "plot.svg", "--dark", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    dark = (tmp_path / "plot.svg").read_text()
    assert ("#1f2328" in light, "#1f2328" in dark, "#e6edf3" in dark) == (True, False, True)


def test_a_plot_of_pylstm_alone(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "found.json").write_text(
        json.dumps(run_of("lstm-train", {"a": {"pylstm": 20.0}, "b": {"pylstm": 20.0}}))
    )
    done = jobs("--from", "found.json", "--plot", "plot.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (run_of("lstm-train", {"text": {"pylstm": 1.0}}), "both of text in lstm-train"),
        (run_of("gru-train", {"text": {"pylstm": 1.0}}, cpu="b"), "of different cpu, a and b"),
        (run_of("gru-train", {"text": {"pylstm": 1.0}}, versions={"torch": "3"}), "of different versions"),
        (run_of("gru-train", {"text": {"pylstm": 1.0}}, threads=1), "of different numbers of threads, None and 1"),
    ],
)
def test_runs_that_do_not_go_together_are_refused(tmp_path, other, message):
    for name, found in {"one": run_of("lstm-train", {"text": {"pylstm": 1.0}}), "other": other}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(found))
    done = jobs("--from", "one.json", "--from", "other.json", cwd=tmp_path)
    assert done.returncode == 2 and f"the files are {message}" in done.stderr


def test_tasks_of_several_runs_are_one_work(part):
    ones = [
        run_of("lstm-train", {name: {"pylstm": 1.0, "torch": ratio}}) for name, ratio in {"a": 2.0, "b": 8.0}.items()
    ]
    (work,) = part("joined").joined(ones)["works"]
    assert [row["size"] for row in work["rows"]] == ["a", "b"]
    assert work["targets"][0]["mean"] == pytest.approx(4.0) and work["targets"][0]["worst_size"] == "a"


@pytest.mark.slow
def test_jobs_from_end_to_end(tmp_path):
    pytest.importorskip("sklearn")
    book, path = tmp_path / "book.txt", tmp_path / "found.json"
    book.write_text("to be or not to be, that is the question. " * 300)
    chosen = ["--tasks", "train-text,classifier,forecaster", "--minutes", "0.01", "--text", book.name]
    done = jobs("--quick", *chosen, "--json", str(path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    assert found["works"] == [] and "## From end to end" in done.stdout
    assert [each["name"] for each in found["ends"]] == ["train-text", "classifier", "forecaster"]
    for each in found["ends"]:
        assert 0 < each["seconds"] < each["process_seconds"] and each["rate"] > 0 and each["quality"] > 0
    text = found["ends"][0]
    assert text["quality"] < 6 and round(text["rate"] * text["seconds"], 3) % (16 * 64) == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["book.txt", "found.json"]


def test_a_job_from_end_to_end_without_scikit_learn(part, monkeypatch):
    ends = part("ends")
    monkeypatch.setattr(ends, "find_spec", lambda name: None)
    monkeypatch.setattr(ends, "_in_a_process", lambda name, options: {"name": name})
    assert ends.run_ends(["train-text", "forecaster"], None) == ([{"name": "train-text"}], ["forecaster"])


def test_a_text_that_cannot_be_read_ends_the_run(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"na\xefve " * 9000)
    done = jobs("--quick", "--tasks", "train-text", "--text", "latin.txt", cwd=tmp_path)
    assert done.returncode == 1 and "train-text ended with status" in done.stderr and "latin.txt" in done.stderr


@pytest.mark.slow
def test_inference(tmp_path):
    done = jobs(
        *TINY,
        "--tasks",
        "digits,text",
        "--cells",
        "gru",
        "--peers",
        "onnxruntime",
        "--inference",
        "--threads",
        "1",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "1 thread(s)" in done.stdout and "| gru-infer " in done.stdout


def test_unknown_names_and_sizes(tmp_path):
    done = jobs("--tasks", "txet", cwd=tmp_path)
    assert done.returncode == 2 and "txet" in done.stderr and "wide-text" in done.stderr
    done = jobs("--size", "3x6x5", cwd=tmp_path)
    assert done.returncode == 2 and "BxTxIxHxK" in done.stderr and "3x6x5" in done.stderr


CASES = pytest.mark.parametrize(("cell", "text"), [(cell, text) for cell in LAYERS for text in (True, False)])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("library", PEERS)
@CASES
def test_losses_agree(part, library, cell, text):
    needs(library)
    run, compared = part("run"), part("tasks").COMPARED
    right = part("of_pylstm").train(job_of(part, cell, text))(compared)
    train = part(f"of_{library}").train
    run.check_losses(library, train(job_of(part, cell, text))(compared), "pylstm", right)
    for wrong in arrays(library, cell, text):
        with pytest.raises(part("run").Disagreement, match=rf"losses of {library} and pylstm at step 0"):
            run.check_losses(library, train(job_of(part, cell, text, wrong))(1), "pylstm", right[:1])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("library", [*PEERS, "onnxruntime"])
@CASES
def test_outputs_agree(part, library, cell, text):
    needs(library)
    run, right = part("run"), part("of_pylstm").infer(job_of(part, cell, text))()
    run.check_outputs(library, part(f"of_{library}").infer(job_of(part, cell, text))(), "pylstm", right)
    for wrong in arrays(library, cell, text):
        with pytest.raises(part("run").Disagreement, match=rf"outputs of {library} and pylstm differ by \d"):
            found = part(f"of_{library}").infer(job_of(part, cell, text, wrong))()
            run.check_outputs(library, found, "pylstm", right)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("library", PEERS)
@pytest.mark.parametrize("text", [True, False])
def test_an_epoch_ends_alike(part, library, text):
    """Step by step or many at once, through the end of an epoch, where states of a text begin with zeros again."""
    needs(library)
    steps = part("tasks").BATCHES + 3
    job = job_of(part, "formula", text)  # with one bias everywhere
    ours, theirs = part("of_pylstm").train(job), part(f"of_{library}").train(job)
    found = [loss for _ in range(steps) for loss in theirs(1)]
    np.testing.assert_allclose(found, ours(steps), rtol=1e-4)


def test_a_wrong_weight_ends_the_run(part, monkeypatch, tmp_path):
    """Through the processes: a pylstm beside one that reads other weights."""
    run, tasks = part("run"), part("tasks")
    children = {}
    for name, wrong in {"pylstm": None, "other": "U"}.items():
        job_of(part, "lstm", False, wrong).write(tmp_path / f"{name}.npz")
        children[name] = run.start("pylstm", "train", tmp_path / f"{name}.npz", None)
        children[name].name = name
    try:
        with pytest.raises(run.Disagreement, match="losses of other and pylstm at step 0"):
            run.compare(children, "train", tmp_path)
    finally:
        for child in children.values():
            child.close()
    assert tasks.Job.read(tmp_path / "pylstm.npz").task.K == 9


def test_a_child_that_fails_is_named(part, tmp_path):
    child = part("run").start("pylstm", "train", tmp_path / "none.npz", None)
    try:
        with pytest.raises(part("child").Failed, match=r"pylstm ended with status 1:(.|\n)*none\.npz"):
            child.ask("losses")
    finally:
        child.close()


@pytest.mark.parametrize("step", [0, 1])
def test_tolerances_of_losses(part, step):
    run = part("run")
    allowed = [run.FIRST, run.LATER][step]
    for factor, fine in ((0.9, True), (1.1, False), (np.nan, False)):
        found = [2.0, 2.0]
        found[step] *= 1 + factor * allowed
        if fine:
            run.check_losses("a", found, "b", [2.0, 2.0])
        else:
            with pytest.raises(run.Disagreement, match=f"losses of a and b at step {step}"):
                run.check_losses("a", found, "b", [2.0, 2.0])


def test_the_environment_of_a_child(part, monkeypatch):
    child = part("child")
    for name in (*child.THREADS, *child.OTHERS):
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("HOME", "there")
    left = child.environment(None)
    assert not {*left} & {*child.THREADS, *child.OTHERS} and left["HOME"] == "there"
    one = child.environment(1)
    assert {one[name] for name in child.THREADS} == {"1"} and "threads=1" in one["XLA_FLAGS"]
    assert child.environment(2)["OMP_NUM_THREADS"] == "2" and "XLA_FLAGS" not in child.environment(2)


class Fake:
    """A child that takes so many seconds a step."""

    def __init__(self, name, seconds, order):
        self.name, self.seconds, self.order = name, seconds, order

    def ask(self, request, steps):
        self.order.append(self.name)
        return self.seconds


def test_children_take_turns_and_the_slow_ones_few(part, monkeypatch):
    run = part("run")
    monkeypatch.setattr(run, "sleep", lambda seconds: None)
    order = []
    children = {name: Fake(name, seconds, order) for name, seconds in {"a": 1.0, "b": 2.0, "c": 9.0}.items()}
    found = run.in_turn(children, run.Effort(sample=0.01, seconds=0, least=4, most=9))
    assert "".join(order).endswith("abcabcabab")
    assert {name: each["samples"] for name, each in found.items()} == {"a": 4, "b": 4, "c": 2}
    assert found["b"]["median"] == 2.0 and found["b"]["calls"] == 1


def test_targets(part):
    table = part("table")
    assert table.row_wanted(None, "train", "wide-text", "lstm") == 1.15
    assert table.row_wanted(None, "train", "wide-text", "gru") == 1.35
    assert table.row_wanted(1, "train", "text", "lstm") == 1.05
    assert table.row_wanted(None, "infer", "text", "lstm") is table.row_wanted(3, "train", "text", "lstm") is None
    rows = [{"size": "a", "ratios": [2.0], "wanted": 1.5}, {"size": "b", "ratios": [8.0], "wanted": 9.0}]
    rows.append({"size": "c", "ratios": [None], "wanted": 1.0})
    found = table.reached(rows, 3.0)
    assert found["mean"] == pytest.approx(4.0)
    assert (found["worst"], found["worst_size"], found["met"]) == (2.0, "a", False)
    assert table.reached(rows[:1], 1.9)["met"] is True and table.reached(rows[:1], 2.1)["met"] is False
    assert table.reached(rows[2:], 1.0)["met"] is None
