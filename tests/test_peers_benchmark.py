"""`benchmarks/peers.py`: it runs with what is installed, refuses to time what disagrees, and its ratios are right."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
pytestmark = pytest.mark.usefixtures("jax_compiles_once")
CONTEST = sorted(BENCHMARKS.glob("contest/**/*.py"))


@pytest.fixture
def contest(monkeypatch):
    """Imports a module of the benchmark by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: importlib.import_module(f"contest.{name}")


def peers(*arguments, cwd):
    command = [sys.executable, str(BENCHMARKS / "peers.py"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_quick_run_prints_ratios_and_writes_them(tmp_path):
    path = tmp_path / "results.json"
    done = peers("--quick", "--threads", "1", "--sizes", "2x5x3", "--json", str(path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    assert found["machine"]["versions"]["pylstm"]
    names = [work["name"] for work in found["works"]]
    assert {"lstm-train", "gru-infer", "lstm-train-float64", "lstm-step", "lstm-peak", "plugins"} <= {*names}
    for work in found["works"]:
        assert f"## {work['title']}" in done.stdout
        assert f"| {work['name']} " in done.stdout.rpartition("## Summary")[2]
        for row in work["rows"]:
            assert all(0 < each["minimum"] <= each["median"] for each in row["contestants"].values())
    (row,) = found["works"][names.index("lstm-float64-cost")]["rows"]
    times = {name: each["median"] for name, each in row["contestants"].items()}
    assert row["ratios"] == [times["float64"] / times["float32"]]
    assert "| 2,5,3 " in done.stdout


@pytest.mark.slow
def test_a_plot_of_earlier_results(tmp_path):
    pytest.importorskip("matplotlib")
    path, plot = tmp_path / "results.json", tmp_path / "plot.png"
    made = peers("--quick", "--works", "plugins", "--sizes", "2x5x3,1x4x8", "--json", str(path), cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    done = peers("--from", str(path), "--plot", str(plot), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "peephole / lstm" in done.stdout
    assert plot.read_bytes().startswith(b"\x89PNG") and plot.stat().st_size > 5000


def test_unknown_work(tmp_path):
    done = peers("--works", "lstm-trian", cwd=tmp_path)
    assert done.returncode == 2 and "lstm-trian" in done.stderr and "lstm-train," in done.stderr


def contestants(contest, library, kind, cell="lstm", wrong=None, dtype="float32"):
    """pylstm, and a peer with one element of the weights `wrong` changed."""
    problem, size = contest("problem"), contest("problem").Size(3, 6, 5)
    ours = problem.Problem(cell, size, dtype, 4)
    theirs = problem.Problem(cell, size, dtype, 4)
    if wrong:
        theirs.weights[wrong][1] += 0.1
        if library == "pylstm":
            from pylstm.interop.torch import load_state_dict

            load_state_dict(theirs.layer, theirs.weights)
    module = contest(f"of_{library}")
    return {"pylstm": getattr(contest("of_pylstm"), kind)(ours), library + "'": getattr(module, kind)(theirs)}


KINDS = [
    ("pylstm", "train", "lstm"),
    ("pylstm", "train", "gru"),
    *(("torch", kind, cell) for kind in ("train", "infer") for cell in ("lstm", "gru", "rnn_tanh")),
    *((library, "infer", cell) for library in ("onnxruntime", "openvino") for cell in ("lstm", "gru", "rnn_tanh")),
    ("jax", "train", "lstm"),
    ("jax", "infer", "lstm"),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("wrong", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
@pytest.mark.parametrize(("library", "kind", "cell"), KINDS)
def test_a_wrong_weight_is_found(contest, library, kind, cell, wrong):
    for needed in (library, *(["onnx"] if library in ("onnxruntime", "openvino") else [])):
        pytest.importorskip(needed)
    measure = contest("measure")
    assert measure.check_agreement(contestants(contest, library, kind, cell)) == 2
    with pytest.raises(measure.Disagreement, match=rf"of {library}' and pylstm differ by \d"):
        measure.check_agreement(contestants(contest, library, kind, cell, wrong))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("wrong", ["weight_x", "bias"])
@pytest.mark.parametrize("kind", ["train_mingru", "train_mingru_associative"])
def test_a_wrong_weight_of_a_minimal_gru_is_found(contest, kind, wrong):
    pytest.importorskip("jax")
    measure, make, size = contest("measure"), contest("problem").Problem, contest("problem").Size(3, 6, 5)
    ours, theirs = make("mingru", size), make("mingru", size)
    pair = {"pylstm": contest("of_pylstm").train(ours), "jax": getattr(contest("of_jax"), kind)(theirs)}
    assert measure.check_agreement(pair) == 2
    theirs.layer.params[wrong].flat[3] += 0.1
    pair["jax"] = getattr(contest("of_jax"), kind)(theirs)
    with pytest.raises(measure.Disagreement, match=r"of jax and pylstm differ by \d"):
        measure.check_agreement(pair)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("library", ["torch", "onnxruntime"])
def test_libraries_agree_on_a_stream(contest, library):
    """pylstm's whole sequence against the single steps of the others."""
    pytest.importorskip(library)
    problem = contest("problem").Problem("lstm", contest("problem").Size(2, 1, 5), input_size=3)
    stepped = contest(f"of_{library}").step(problem)
    stepped.call()
    found = stepped.results(stepped.call())["y"]
    np.testing.assert_allclose(found, problem.layer(problem.steps).y, rtol=0, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, 2e-4])
def test_disagreement_of_one_element(contest, bad):
    measure, make = contest("measure"), contest("problem").Contestant
    y = np.linspace(-1, 1, 12, dtype="f4").reshape(3, 4)
    other = y.copy()
    other[1, 2] += bad
    pair = {"a": make(lambda: y, lambda y: {"y": y}), "b": make(lambda: other, lambda y: {"y": y})}
    with pytest.raises(measure.Disagreement, match=r"y of b and a differ by (nan|2\.0e-04)"):
        measure.check_agreement(pair)


def test_contestants_take_turns(contest):
    measure, make = contest("measure"), contest("problem").Contestant
    order = []
    effort = measure.Effort(seconds=1e-9, least=7, most=9, sample=1e-9)
    found = measure.in_turn(
        {name: make(lambda name=name: order.append(name), scale=k) for k, name in enumerate("ab", 1)}, effort
    )
    assert "".join(order).endswith("aabb" * 7)  # a sample of one call has an untimed one before it
    assert {each["samples"] for each in found.values()} == {7}


def test_targets(contest):
    run, works = contest("run"), contest("works")
    rows = [{"size": "small", "ratios": [2.0]}, {"size": "large", "ratios": [8.0]}, {"size": "none", "ratios": [None]}]
    reached = run._reached(works.Target(("torch",), mean=4.0, worst=2.1), 0, rows)
    assert reached["mean"] == pytest.approx(4.0)
    assert (reached["worst"], reached["worst_size"], reached["met"]) == (2.0, "small", False)
    assert run._reached(works.Target(("torch",), mean=3.9, worst=2.0), 0, rows)["met"]
    most = run._reached(works.Target(("float64",), "float32", mean=5.0, at_most=True), 0, rows)
    assert (most["worst_size"], most["met"]) == ("large", True)
    assert run._reached(works.Target(("torch",), mean=1.0), 0, rows[2:])["met"] is None
    times = {name: {"median": seconds} for name, seconds in {"pylstm": 2.0, "torch": 3.0, "jax": 5.0}.items()}
    assert run._ratio(works.Target(("torch", "jax", "onnxruntime")), times) == 1.5


def test_peers_that_are_missing_are_left_out(contest):
    run, works = contest("run"), contest("works")
    (result,) = run.run_works([works.BY_NAME["lstm-infer"]], ("pylstm",), [works.Size(2, 5, 3)], True)
    (row,) = result["rows"]
    assert [*row["contestants"]] == ["pylstm"] and row["ratios"] == [None]
    table = contest("table").work_table(result)
    assert "| 2,5,3 " in table and "torch" not in table
    assert "not run" in contest("table").summary([result])
    (result,) = run.run_works([works.BY_NAME["mingru-train-2-threads"]], ("pylstm",), [works.Size(2, 5, 3)], True)
    assert [*result["rows"][0]["contestants"]] == ["pylstm"]


@pytest.mark.slow
def test_openvino_runs_as_the_row_says(contest):
    """The threads asked for, one stream, float32; and its input lives as long as it."""
    for needed in ("openvino", "onnx"):
        pytest.importorskip(needed)
    module, make, size = contest("of_openvino"), contest("problem").Problem, contest("problem").Size(3, 6, 5)
    problem = make("lstm", size)
    for threads in (2, 1):
        module.prepare(threads)
        compiled = module.compiled(problem)
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
        assert compiled.get_property("PERFORMANCE_HINT") == "LATENCY"
    contestants = [module.infer(make("lstm", size)) for _ in range(5)]
    for found in (each.results(each.call())["y"] for each in contestants):
        np.testing.assert_allclose(found, problem.layer(problem.x).y, rtol=0, atol=1e-6)


SIGNALLED = """
import faulthandler, os, signal, sys
sys.path.insert(0, sys.argv[1])
from contest import of_openvino, problem
faulthandler.enable()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
held = []
for rows in (3, 4, 5, 6):
    held = [of_openvino.infer(problem.Problem("lstm", problem.Size(rows, 6, 5))), *held[:2]]
    held[0].call()
held.clear()
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.slow
def test_a_signal_is_survived_after_openvino():
    """Models of it are dropped in any order."""
    for needed in ("openvino", "onnx"):
        pytest.importorskip(needed)
    command = [sys.executable, "-P", "-c", SIGNALLED, str(BENCHMARKS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def test_inference_has_every_peer_at_every_size(contest):
    works = contest("works")
    wanted = {"lstm": ("torch", "onnxruntime", "openvino", "jax"), "gru": ("torch", "onnxruntime", "openvino")}
    for cell, (mean, worst) in {"lstm": (1.3, 1.0), "gru": (1.5, 1.0)}.items():
        work = works.BY_NAME[f"{cell}-infer"]
        assert tuple(work.entrants) == ("pylstm", *wanted[cell]) and work.sizes == works.SIZES
        (target,) = work.targets
        assert (target.over, target.mean, target.worst) == (wanted[cell], mean, worst)


@pytest.mark.slow
def test_asv_has_the_ratio_to_the_best_peer(contest, monkeypatch):
    """Of a real run, and of one whose ratio is known."""
    layers, works = importlib.import_module("bench_layers"), contest("works")
    peers = layers.Peers()
    chosen, sizes = peers.params
    assert {*chosen} <= {*works.BY_NAME}
    assert all(works.Size.parse(size) in works.BY_NAME[work].sizes for work in chosen for size in sizes)

    def found(ratio):
        def run(command, **_):
            assert command[command.index("--works") + 1] == "gru-infer"
            Path(command[-1]).write_text(json.dumps({"works": [{"rows": [{"ratios": [ratio]}]}]}))

        return run

    pytest.importorskip("torch")
    assert 0 < peers.track_time("lstm-infer", "2x5x3") < 10
    monkeypatch.setattr(layers.subprocess, "run", found(4.0))
    assert peers.track_time("gru-infer", "2x5x3") == 0.25
    monkeypatch.setattr(layers.subprocess, "run", found(None))
    assert np.isnan(peers.track_time("gru-infer", "2x5x3"))
    works = contest("works")
    assert len(works.BY_NAME) == len(works.WORKS)
    assert [size.H for size in works.LARGE] == [128, 256, 512]
    assert len(works.SHARED) == 7 and len(works.HUNDRED) == 10 and len(works.DOUBLE) == 5
    step = works.BY_NAME["lstm-step"]
    assert step.chosen([works.Size(4, 7, 9), works.Size(2, 7, 9)], False) == [(1, 1, 9)]


@pytest.mark.parametrize("path", CONTEST, ids=[str(path.relative_to(BENCHMARKS)) for path in CONTEST])
def test_peers_are_imported_in_functions_only(path):
    """asv imports every module of benchmarks/."""
    top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in top if isinstance(node, ast.ImportFrom) and not node.level}
    assert not {name.split(".")[0] for name in names} & {
        "torch",
        "onnx",
        "onnxruntime",
        "openvino",
        "jax",
        "keras",
        "matplotlib",
        "pylstm",
    }
