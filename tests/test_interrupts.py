"""Interrupts at random moments: the exception comes out, and the next call has the bits of an undisturbed one."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.serial

INTERRUPTS = 60

CHILD = """
import pickle, random, signal, sys, time
import numpy as np
import pylstm
from pylstm import Cell, tanh

kind, threads, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(7)
random.seed(threads)
signal.signal(signal.SIGALRM, signal.default_int_handler)
pylstm.set_num_threads(threads)


class Twin(Cell):
    states = ("h",)
    gates = {"a": "x+h"}
    def forward(z):
        return dict(h=np.tanh(z.a))
    def backward(d, y):
        return dict(a=d.h * (1 - y.h * y.h))


def make(T, B, H, *layer, **options):
    x = rng.normal(size=(T, B, H)).astype("float32")
    net = pylstm.Recurrent(*layer, H, H, seed=0, **options) if layer else pylstm.LSTM(H, H, seed=0, **options)
    return net, x


def train(net, x, **more):
    run = net(x, **more)
    dy = x if x.shape == run.y.shape else np.ones_like(run.y)
    grads = run.backward(dy)
    params = grads.params if hasattr(grads, "params") else {}
    flats = [p.flat for p in net.all_params()] if hasattr(net, "all_params") else []
    parts = [np.asarray(v).ravel() for v in params.values()]
    return b"".join(np.ascontiguousarray(a).tobytes() for a in [run.y, grads.x, *parts, *flats])


def feed(stream, x):
    y = stream.feed(x).copy()
    stream.restore(start)
    return y.tobytes()


def fit(x, y):
    model = pylstm.SequenceModel("lstm", 16, 24, 2, loss="softmax_cross_entropy", seed=1)
    pylstm.fit(model, (x, y), epochs=2, batch_size=16, seed=0)
    return b"".join(np.ascontiguousarray(p.flat).tobytes() for p in model.params)


if kind == "rows":
    net, x = make(60, 64, 64)
    call = lambda: train(net, x)
elif kind == "inference":
    net, x = make(200, 64, 64)
    call = lambda: net(x, tape=False).y.tobytes()
elif kind == "columns":
    net, x = make(12, 2, 256)  # short: on a busy machine every meeting waits for a turn
    call = lambda: train(net, x)
elif kind == "checkpointed":
    net, x = make(120, 32, 48)
    call = lambda: train(net, x, checkpoint="sqrt")
elif kind == "ragged":
    net, x = make(200, 40, 64)
    lengths = rng.integers(1, 201, 40)
    lengths[0] = 200
    call = lambda: train(net, x, lengths=lengths)
elif kind == "stack":
    net, x = make(100, 32, 32, num_layers=2, bidirectional=True)
    call = lambda: train(net, x)
elif kind == "machine":
    net, x = make(200, 64, 48, "mgu")
    call = lambda: train(net, x)
elif kind == "twin":
    net, x = make(300, 8, 16, Twin)
    call = lambda: train(net, x)
elif kind == "fit":
    x = rng.normal(size=(64, 20, 16)).astype("float32")
    y = (x.sum(axis=(1, 2)) > 0).astype("int64")
    call = lambda: fit(x, y)
else:
    net, x = make(6000, 1, 64, num_layers=2 if kind == "stack stream" else 1)
    stream = net.stream()
    stream.feed(x[:3])
    start = stream.snapshot()
    stream.feed(x)
    end = stream.snapshot()
    stream.restore(start)
    call = lambda: feed(stream, x)

want = call()
began = time.perf_counter()
assert call() == want
length = time.perf_counter() - began
inside = 0
while inside < count:
    done = False
    try:
        signal.setitimer(signal.ITIMER_REAL, max(1e-5, random.random() * length))
        call()
        done = True
        while True:
            time.sleep(0.001)
    except KeyboardInterrupt:
        inside += not done
    if "stream" in kind:                       # the states are those before the call, unless it had come to its end
        now = stream.snapshot()
        assert pickle.dumps(now) in (pickle.dumps(start), pickle.dumps(end))
        stream.restore(start)
    assert call() == want, inside
print("interrupted", inside)
"""

KINDS = ["rows", "inference", "columns", "checkpointed", "ragged", "stack", "machine", "twin", "fit", "stream"]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", [*KINDS, "stack stream"])
def test_interrupts_at_random_moments(kind, threads):
    command = [sys.executable, "-P", "-c", CHILD, kind, str(threads), str(INTERRUPTS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"interrupted {INTERRUPTS}\n", "")
