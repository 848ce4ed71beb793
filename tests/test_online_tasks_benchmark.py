"""BrainTrace's tasks, learned online: `benchmarks/online_tasks.py`."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.once
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPT = BENCHMARKS / "online_tasks.py"
SMALL = ("--hidden", "6", "--rows", "2", "--seeds", "2", "--updates", "2", "--length", "8")


def run(*options):
    return subprocess.run([sys.executable, "-P", str(SCRIPT), *options], capture_output=True, text=True)


@pytest.fixture
def problems(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("contest.online_problems")


def test_a_table_of_all_tasks():
    done = run(*SMALL, "--methods", "bptt,rtrl,snap1")
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\S+) \S+ \| (.*?) \| (\S+) \| (\d+) \| (\d+) \|$", done.stdout, re.M)
    wanted = {"copying": "snap1", "integrator": "rtrl", "matching": "snap1", "evidence": "snap1"}
    assert [row[:2] for row in rows] == [(task, rule) for task, other in wanted.items() for rule in ("bptt", other)]
    for task, rule, loss, right, cosine, us, _ in rows:
        assert 0 < float(loss) < 5 and int(us) > 0 and bool(right) == (task != "integrator")
        assert float(cosine) == 1 if rule != "snap1" else 0.5 < float(cosine) < 1, (task, rule)


@pytest.mark.parametrize("name", ["copying", "integrator", "evidence"])
def test_the_gradient_online_is_that_through_time(problems, name):
    tasks = importlib.import_module("online_tasks")
    problem = problems.PROBLEMS[name][0](8)
    layer, head = tasks.net_of(problem, 4, 0)
    x, target = problem.draw(np.random.default_rng(0), 2)
    y, exact = tasks.through_time(problem, layer, head, x, target)
    for rule in ("rtrl", "snap1"):
        learned, found = tasks.gradient(rule, problem, layer, head, 2)(x, target)
        assert np.allclose(learned, y, atol=1e-5)
        close = np.abs(found - exact).max() < 1e-4 * np.abs(exact).max()
        assert close == (rule == "rtrl" or name == "integrator"), rule


def test_what_is_not_known_or_not_installed_is_named():
    done = run("--methods", "uoro")
    assert done.returncode == 2 and "uoro is not known" in done.stderr and "snap1" in done.stderr
    if importlib.util.find_spec("braintrace") is None:
        done = run("--peers", "braintrace")
        assert done.returncode == 2 and "pip install braintrace" in done.stderr


def test_the_tasks(problems):
    rng = np.random.default_rng(0)
    for name, (make, length) in problems.PROBLEMS.items():
        problem = make(length)
        x, target = problem.draw(rng, 64)
        assert x.shape == (problem.steps, 64, problem.inputs) and x.dtype == np.float32, name
        assert target.shape[:2] == (problem.scored, 64)
        if problem.voted:
            assert (target == target[0]).all() and 0.2 < target.mean() < 0.8
    x, target = problems.copying(20).draw(rng, 3)
    assert (x[:10].argmax(-1) == target).all() and (x[-10:].argmax(-1) == 9).all() and (x[10:-10].argmax(-1) == 0).all()
    x, target = problems.integrator(25).draw(rng, 3)
    assert np.allclose(target[-1], x.sum(axis=0), atol=1e-5)
    x, target = problems.evidence(40).draw(rng, 200)
    left, right = x[..., :25].sum(axis=(0, 2)), x[..., 25:50].sum(axis=(0, 2))
    assert ((left > right) == target[0]).mean() > 0.97 and not x[:-15, :, 50:75].any()
    x, target = problems.matching(40).draw(rng, 200)
    alike = np.array([np.corrcoef(*shown)[0, 1] for shown in zip(x[1:51].sum(axis=0), x[-50:].sum(axis=0))])
    assert ((alike > 0.8) == target[0]).mean() > 0.97


def test_the_cotangent_of_the_loss(problems):
    rng, epsilon = np.random.default_rng(0), 1e-6
    for problem in (problems.copying(4), problems.integrator(5)):
        target = problem.draw(rng, 3)[1]
        y = rng.normal(size=(problem.scored, 3, problem.outputs))
        dy, along = problems.judged(problem, y, target)[2], rng.normal(size=y.shape)
        ends = [problems.judged(problem, y + sign * epsilon * along, target)[0] for sign in (1, -1)]
        assert (ends[0] - ends[1]) / (2 * epsilon) == pytest.approx((dy * along).sum(), rel=1e-6)
