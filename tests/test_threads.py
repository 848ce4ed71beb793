"""The number of threads: settings, defaults, and threads that cannot be had."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm.engine import team as _team
from pylstm.engine import threads

pytestmark = [pytest.mark.serial, pytest.mark.usefixtures("same_number_of_threads")]

BIG = (60, 64, 64)  # large enough for a team


def test_set_and_get():
    pylstm.set_num_threads(3)
    assert pylstm.get_num_threads() == 3


def test_a_layer_follows_the_number():
    """A plan is kept for recurring sizes, and for the number of threads."""
    T, B, H = BIG
    layer, x = pylstm.LSTM(H, H, seed=0), np.ones((T, B, H), "float32")
    found = []
    for number in (1, 2, 1, 3):
        pylstm.set_num_threads(number)
        found.append(layer(x)._plan.threads)
    assert found == [1, 2, 1, 3]


@pytest.mark.parametrize("bad", [0, -1, 65, True, 2.0, "2", None])
def test_refused(bad):
    error = ValueError if type(bad) is int else TypeError
    with pytest.raises(error, match=r"number of threads.*from 1 to 64"):
        pylstm.set_num_threads(bad)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PYLSTM_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, "3"),
        ({"PYLSTM_NUM_THREADS": "", "OMP_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "1"}, "1"),
        ({"OMP_NUM_THREADS": "none"}, None),
        ({}, None),
    ],
)
def test_default(variables, expected):
    clean = {n: v for n, v in os.environ.items() if n not in ("PYLSTM_NUM_THREADS", "OMP_NUM_THREADS")}
    script = "import pylstm; print(pylstm.get_num_threads())"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, env=clean | variables)
    assert done.stdout.strip() == (expected or str(threads._available())), done.stderr


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n", "cpu.max": "max 100000\n"}, 3),
        ("0::/of/the/host\n", {"cpu.max": "100000 100000\n"}, 1),  # a container sees its own group as the root
        ("2:cpuacct:/\n1:cpu,cpuacct:/a\n", {"cpu,cpuacct/a/cpu.cfs_quota_us": "50000\n",
                                             "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 1),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1_000_000),
        ("9:memory:/a\n", {"memory/a/cpu.cfs_quota_us": "1\n", "memory/a/cpu.cfs_period_us": "1\n"}, 1_000_000),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 1_000_000),
        (None, {}, 1_000_000),
    ],
)  # fmt: skip
def test_the_quota_of_a_control_group(tmp_path, groups, files, expected):
    if groups is not None:
        (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    assert threads._quota(str(tmp_path / "groups"), str(tmp_path / "root")) == expected


def test_a_wrong_variable_is_named():
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import pylstm"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYLSTM_NUM_THREADS": "many"},
    )
    assert "PYLSTM_NUM_THREADS must be a number from 1 to 64, got 'many'" in done.stderr


def test_small_passes_use_one_thread(monkeypatch):
    monkeypatch.setattr(_team, "idle", [])
    pylstm.set_num_threads(2)
    pylstm.LSTM(4, 4, seed=0)(np.ones((10, 2, 4), "float32"))
    assert _team.idle == []
    pylstm.LSTM(64, 64, seed=0)(np.ones(BIG, "float32"))
    assert len(_team.idle) == 1
    for _ in range(20):  # the same thread again, also while it is still on its way home
        layer = pylstm.LSTM(64, 64, seed=0)
        layer(np.ones(BIG, "float32")).backward(np.ones(BIG, "float32"))
        assert len(_team.idle) == 1


def test_a_worker_that_has_fallen_asleep_is_woken():
    pylstm.set_num_threads(2)
    layer, x = pylstm.LSTM(64, 64, seed=0), np.ones(BIG, "float32")
    expected = layer(x).y.copy()
    for pause in (0, 1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 0.05) * 20:
        time.sleep(pause)
        assert np.array_equal(layer(x).y, expected)


def test_no_thread_to_be_had_is_an_error_before_the_loop(monkeypatch):
    def refuse(function, arguments):
        raise RuntimeError("can't start new thread")

    pylstm.set_num_threads(3)
    layer = pylstm.LSTM(64, 64, seed=0)
    layer(np.ones(BIG, "float32"))
    kept = _team.idle[:1]
    monkeypatch.setattr(_team, "idle", list(kept))
    monkeypatch.setattr(_team, "start_new_thread", refuse)
    with pytest.raises(RuntimeError, match=r"can't start new thread: call pylstm.set_num_threads\(1\)"):
        layer(np.ones(BIG, "float32"))
    assert _team.idle == kept  # the one that there was is back
    pylstm.set_num_threads(1)
    assert layer(np.ones(BIG, "float32")).y.shape == BIG


def test_several_layers_in_several_threads():
    import concurrent.futures

    pylstm.set_num_threads(2)
    layer = pylstm.LSTM(64, 64, seed=0)
    inputs = [np.random.default_rng(k).normal(size=BIG).astype("float32") for k in range(6)]
    expected = [layer(x).backward(x).params.flat.copy() for x in inputs]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda x: layer(x).backward(x).params.flat.copy(), inputs * 3))
    for k, flat in enumerate(found):
        assert np.array_equal(flat, expected[k % 6])


def test_callers_may_end_at_once():
    """A worker must not look at the frame of a caller whose thread is gone: its stack is unmapped."""
    pylstm.set_num_threads(3)
    layer, x = pylstm.LSTM(64, 64, seed=0), np.ones(BIG, "float32")
    expected, found = layer(x).final["h"].copy(), []
    for _ in range(150):
        callers = [threading.Thread(target=lambda: found.append(layer(x).final["h"].copy())) for _ in range(2)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert len(found) == 300
    assert all(np.array_equal(h, expected) for h in found)


def test_a_thread_that_never_gets_a_processor_keeps_nobody_waiting(monkeypatch):
    """Its shares are done by the others, and what was posted to it is taken back."""

    layer = pylstm.LSTM(32, 32, seed=0)
    x = np.random.default_rng(0).normal(size=(40, 64, 32)).astype("float32")
    monkeypatch.setattr(pylstm.engine.threads, "_number", 1)
    expected = layer(x).backward(x).params.flat.tobytes()
    monkeypatch.setattr(pylstm.engine.threads, "_number", 3)
    monkeypatch.setattr(_team, "idle", [])
    monkeypatch.setattr(_team, "start_new_thread", lambda function, arguments: None)  # workers that nobody serves
    found = []
    caller = threading.Thread(target=lambda: found.append(layer(x).backward(x).params.flat.tobytes()), daemon=True)
    caller.start()
    caller.join(20)
    assert found == [expected]


def test_a_team_meets_as_often_as_it_is_asked():
    """`benchmarks/meetings.py`."""
    bench = [sys.executable, "-P", str(Path(__file__).resolve().parents[1] / "benchmarks/meetings.py")]
    found = subprocess.run(bench, capture_output=True, text=True, timeout=120, check=True).stdout
    median, low, high = map(int, re.search(r"^2 threads meet in (\d+) ns \((\d+) to (\d+)\)$", found).groups())
    assert 1 <= low <= median <= high
    for wrong in (1, 65):
        with pytest.raises(ValueError, match="threads must be 2 to 64"):
            _team.meet_repeatedly(wrong, 10)


UNITS = (400, 1, 128)  # threads share units


def test_a_thread_that_was_woken_may_use_every_processor_again():
    """It is kept from the processor of the one who wakes it, until it is awake."""
    T, B, H = UNITS
    layer, x = pylstm.LSTM(H, H, seed=0), np.ones((T, B, H), "float32")
    pylstm.set_num_threads(3)
    for _ in range(5):
        time.sleep(0.01)  # they sleep by then
        layer(x)
    time.sleep(0.05)
    found = [os.sched_getaffinity(int(thread)) for thread in os.listdir("/proc/self/task")]
    assert len(found) > 2 and all(each == os.sched_getaffinity(0) for each in found)


@pytest.fixture
def _giving_way():
    _team.give_way(True)
    yield
    _team.give_way(False)


@pytest.mark.usefixtures("_giving_way")
@pytest.mark.parametrize("sizes", [UNITS, BIG], ids=["units", "rows"])
def test_short_passes_take_one_thread_while_others_have_the_processors(sizes):
    T, B, H = sizes
    layer, x = pylstm.LSTM(H, H, seed=0), np.random.default_rng(0).normal(size=(T, B, H)).astype("float32")
    dy = np.random.default_rng(1).normal(size=(T, B, H)).astype("float32")
    pylstm.set_num_threads(1)
    expected = layer(x).backward(dy).params.flat.tobytes()
    pylstm.set_num_threads(2)
    for _ in range(5):  # one after another: the pause grows
        taken = layer(x)  # for as many threads as there is peace
        _team.meet_late()
        assert layer(x)._plan.threads == 1
        assert layer._core.plan(T, B, True, 0, 0, 2).threads == 2
        assert taken.backward(dy).params.flat.tobytes() == expected == layer(x).backward(dy).params.flat.tobytes()
    until = time.monotonic() + 20
    while layer(x)._plan.threads == 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert time.monotonic() < until
