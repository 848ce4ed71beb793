"""`benchmarks/peers.py --rtneural`, without RTNeural: its weights, the folders it refuses, and a stand-in of it."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import sleep

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="this machine has no g++")
STANDIN = """\
#pragma once
#include <cmath>
#include <tuple>
#include <vector>
#if RTNEURAL_USE_XSIMD || defined(NO_BACKEND)
#error "this one has no such backend"
#endif
#ifndef ORDER /* of the gates of LSTM */
#define ORDER {0, 1, 2, 3}
#endif
namespace RTNeural {
using Vector = std::vector<float>;
using Matrix = std::vector<Vector>;
inline float sigmoid(float z) { return 1 / (1 + std::exp(-z)); }

template <int H> struct Recurrent {
    Matrix W, U;
    float outs[H], c[H];
    void setWVals(const Matrix &values) { W = values; }
    void setUVals(const Matrix &values) { U = values; }
    void reset() { for (int k = 0; k < H; k++) outs[k] = c[k] = 0; }
    float of_h(int column) {
        float sum = 0;
        for (int j = 0; j < H; j++) sum += outs[j] * U[j][column];
        return sum;
    }
};

template <typename T, int I, int H> struct LSTMLayerT : Recurrent<H> {
    Vector b;
    void setBVals(const Vector &values) { b = values; }
    void forward(float x) {
        const int order[] = ORDER;
        float h[H];
        for (int k = 0; k < H; k++) {
            float z[4];
            for (int g = 0; g < 4; g++) {
                const int column = order[g] * H + k;
                z[g] = x * this->W[0][column] + this->of_h(column) + b[column];
            }
            this->c[k] = sigmoid(z[1]) * this->c[k] + sigmoid(z[0]) * std::tanh(z[2]);
            h[k] = sigmoid(z[3]) * std::tanh(this->c[k]);
        }
        for (int k = 0; k < H; k++) this->outs[k] = h[k];
    }
};

template <typename T, int I, int H> struct GRULayerT : Recurrent<H> {
    Matrix b;
    void setBVals(const Matrix &values) { b = values; }
    void forward(float x) {
        float h[H];
        for (int k = 0; k < H; k++) {
            float of_x[3], of_h[3];
            for (int g = 0; g < 3; g++) {
                of_x[g] = x * this->W[0][g * H + k] + b[0][g * H + k];
                of_h[g] = this->of_h(g * H + k) + b[1][g * H + k];
            }
            const float z = sigmoid(of_x[0] + of_h[0]), r = sigmoid(of_x[1] + of_h[1]);
            h[k] = z * this->outs[k] + (1 - z) * std::tanh(of_x[2] + r * of_h[2]);
        }
        for (int k = 0; k < H; k++) this->outs[k] = h[k];
    }
};

template <typename T, int I, int H, typename Layer> struct ModelT {
    std::tuple<Layer> layers;
    template <int k> auto &get() { return std::get<k>(layers); }
    void reset() { get<0>().reset(); }
    void forward(const T *x) { get<0>().forward(*x); }
    const T *getOutputs() { return get<0>().outs; }
};
}
"""


@pytest.fixture
def contest(monkeypatch):
    """Imports a module of the benchmark by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: importlib.import_module(f"contest.{name}")


@pytest.fixture
def standin(tmp_path):
    """A folder that looks like RTNeural's."""
    header = tmp_path / "sources" / "RTNeural" / "RTNeural.h"
    header.parent.mkdir(parents=True)
    header.write_text(STANDIN)
    return tmp_path / "sources"


@pytest.fixture
def rtneural(contest, monkeypatch):
    """The module, without builds of other tests, for two builds of which the second cannot be compiled."""
    module = contest("of_rtneural")
    monkeypatch.setattr(module, "_libraries", {})
    monkeypatch.setattr(module, "_builds", lambda: ["STL native", "xsimd native"])
    return module


def peers(*arguments, cwd, **variables):
    command = [sys.executable, str(BENCHMARKS / "peers.py"), *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, env=environment)


def a_problem(contest, cell):
    """One input, biases that are not zero."""
    problem = contest("problem").Problem(cell, contest("problem").Size(1, 20, 5), input_size=1)
    generator = np.random.default_rng(7)
    for array in problem.layer.params.values():
        array[:] = generator.uniform(-1, 1, array.shape)
    return problem


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def recursion(cell, x, W, U, b):
    """As Keras documents it: columns i f g o, and z r n with one bias for x and one for h."""
    h = c = np.zeros(len(U))
    outputs = []
    for x_t in x:
        if cell == "lstm":
            i, f, g, o = np.split(x_t @ W + h @ U + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (z_x, r_x, n), (z_h, r_h, m) = np.split(x_t @ W + b[0], 3), np.split(h @ U + b[1], 3)
            z, r = sigmoid(z_x + z_h), sigmoid(r_x + r_h)
            h = z * h + (1 - z) * np.tanh(n + r * m)
        outputs.append(h)
    return np.array(outputs)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_weights_are_in_the_order_of_rtneural(contest, cell):
    problem = a_problem(contest, cell)
    found = contest("of_rtneural").weights(problem)
    assert all(array.dtype == "f4" and array.flags.c_contiguous for array in found)
    expected = problem.layer(problem.x).y[:, 0]
    np.testing.assert_allclose(recursion(cell, problem.x[:, 0], *found), expected, rtol=0, atol=2e-6)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_standin_agrees_and_goes_on(contest, rtneural, standin, cell):
    said = rtneural.prepare(standin, [3, 5])
    assert "compiled here: STL native" in said and "not xsimd native:" in said and "no such backend" in said
    problem = a_problem(contest, cell)
    theirs = rtneural.feed(problem)
    assert contest("measure").check_agreement({"pylstm": contest("of_pylstm").feed(problem), "theirs": theirs}) == 2
    assert theirs.note == "STL native"
    theirs.results(None)
    both = problem.layer(np.concatenate([problem.x, problem.x])).y
    np.testing.assert_allclose(theirs.call(), both[problem.T :], rtol=0, atol=2e-6)
    other = contest("problem").Problem(cell, contest("problem").Size(1, 20, 4), input_size=1)
    assert rtneural.feed(other) is None  # a size it was not compiled for


@pytest.mark.slow
@needs_compiler
def test_gates_in_another_order_are_found(contest, rtneural, standin, monkeypatch):
    monkeypatch.setenv("CXX", "g++ '-DORDER={0,1,3,2}'")
    rtneural.prepare(standin, [5])
    problem = a_problem(contest, "lstm")
    with pytest.raises(contest("measure").Disagreement, match="y of theirs and pylstm differ"):
        contest("measure").check_agreement(
            {"pylstm": contest("of_pylstm").feed(problem), "theirs": rtneural.feed(problem)}
        )


@pytest.mark.slow
@needs_compiler
def test_a_run_with_a_standin(standin, tmp_path):
    path = tmp_path / "results.json"
    arguments = ["--works", "gru-feed", "--sizes", "1x1x5,1x1x7", "--quick", "--rtneural", str(standin)]
    done = peers(*arguments, "--json", str(path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (work,) = json.loads(path.read_text())["works"]
    times = [row["contestants"] for row in work["rows"]]
    column = [target["label"] for target in work["targets"]].index("RTNeural here / pylstm")
    expected = [each["RTNeural here"]["median"] / each["pylstm"]["median"] for each in times]
    assert [row["ratios"][column] for row in work["rows"]] == expected
    notes = ", ".join(f"{row['notes']['RTNeural here']} at {row['size']}" for row in work["rows"])
    again = peers("--from", str(path), cwd=tmp_path)
    for text in (done.stdout, again.stdout):
        assert f"\n\nRTNeural here: {notes}.\n" in text and "| RTNeural here / pylstm |" in text


@pytest.mark.slow
@needs_compiler
def test_nothing_is_measured_where_nothing_compiles(standin, tmp_path):
    done = peers("--works", "gru-feed", "--rtneural", str(standin), cwd=tmp_path, CXX="g++ -DNO_BACKEND")
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("RTNeural could not be compiled: not xsimd") and "no such backend" in done.stderr


@pytest.mark.parametrize(
    ("folder", "compiler", "message"),
    [
        ("nowhere", "g++", "no folder nowhere; it should be a clone of the RTNeural repository"),
        (".", "g++", ". is not a clone of the RTNeural repository: it has no RTNeural/RTNeural.h"),
        ("sources", "no-compiler -x", "RTNeural has to be compiled, and there is no no-compiler; CXX names another"),
    ],
)
def test_folders_that_are_refused(standin, tmp_path, folder, compiler, message):
    if compiler == "g++" and shutil.which("g++") is None:
        compiler = sys.executable
    done = peers("--rtneural", folder, cwd=tmp_path, CXX=compiler)
    assert done.returncode == 2 and f"argument --rtneural: {message}\n" in done.stderr
    assert not done.stdout


def test_only_streams_are_joined_and_only_if_asked(contest):
    works = contest("works")
    joined = {work.name: works.with_rtneural(work) for work in works.WORKS}
    assert {name for name, work in joined.items() if work is not works.BY_NAME[name]} == {"lstm-feed", "gru-feed"}
    for name in ("lstm-feed", "gru-feed"):
        before, after = works.BY_NAME[name], joined[name]
        assert [*after.entrants] == [*before.entrants, "RTNeural here"]
        (*targets, target) = after.targets
        assert tuple(targets) == before.targets and target.label == "RTNeural here / pylstm"
        assert (target.mean, target.worst) == (1.0, 0.8)
    assert not any("RTNeural here" in work.entrants for work in works.WORKS)


def test_a_table_without_notes_is_as_it_was(contest):
    run, works = contest("run"), contest("works")
    (result,) = run.run_works([works.BY_NAME["lstm-feed"]], ("pylstm",), [works.Size(1, 480, 8)], True)
    (row,) = result["rows"]
    assert [*row] == ["size", "contestants", "ratios"] and [*row["contestants"]] == ["pylstm", "RTNeural"]
    assert contest("table").work_table(result).endswith(" |")


@pytest.mark.parametrize("slow", ["first", "second"])
def test_the_fastest_build_is_the_contestant(contest, rtneural, monkeypatch, slow):
    make, problem = contest("problem").Contestant, a_problem(contest, "gru")
    monkeypatch.setattr(rtneural, "_libraries", dict.fromkeys(("first", "other", "second")))
    calls = {"first": lambda: None, "other": None, "second": lambda: None} | {slow: lambda: sleep(1e-3)}
    monkeypatch.setattr(rtneural, "_contestant", lambda name, _: calls[name] and make(calls[name], note=name))
    assert rtneural.feed(problem).note == {"first": "second", "second": "first"}[slow]


@pytest.mark.parametrize(
    ("level", "machine", "expected"),
    [
        ("v1", "v4", ["x86-64"]),
        ("v3", "v4", ["x86-64-v3"]),
        ("v3", "v3", ["x86-64-v3", "native"]),
        ("v4", "v4", ["x86-64-v3", "x86-64-v4", "native"]),
    ],
)
def test_no_build_is_above_the_level_in_use(contest, monkeypatch, level, machine, expected):
    monkeypatch.setattr("pylstm.engine.levels.level", level)
    monkeypatch.setattr("pylstm.engine.cpu.machine_level", lambda: machine)
    found = [name.split() for name in contest("of_rtneural")._builds()]
    for backend in ("xsimd", "Eigen"):
        assert [architecture for name, architecture in found if name == backend] == expected
    assert found[-1] == ["STL", expected[-1]]
