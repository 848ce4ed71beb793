"""`fit_lbfgs`: least squares as numpy solves them, recurrent nets, how it ends, the best parameters."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import pylstm
from pylstm import Sequences, fit_lbfgs
from pylstm.training import lbfgs
from pylstm.training.divergence import TrainingDiverged

pytest.importorskip("scipy")

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 7, 2))
Y = np.tanh(X[:, :, 0].sum(axis=1))


def make(**options):
    return pylstm.SequenceModel("gru", 2, 6, 1, **({"dtype": "float64", "seed": 1} | options))


def flats(model):
    return np.concatenate([each.flat for each in model.params])


class LeastSquares:
    """A linear layer, whose loss is a parabola."""

    def __init__(self):
        self.head = pylstm.Linear(3, 2, dtype="float64", seed=0)
        self.params = self.head.params

    def gradients(self, x, y):
        run = self.head(x)
        value, dy = pylstm.mean_squared_error(run.y, y)
        return value, run.backward(dy).params


def test_least_squares_are_those_of_numpy():
    x, y, model = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 2)), LeastSquares()
    history = fit_lbfgs(model, (x, y), gradient_tolerance=1e-10, loss_tolerance=0)
    expected, *_ = np.linalg.lstsq(np.c_[x, np.ones(50)], y, rcond=None)
    np.testing.assert_allclose(np.c_[model.params["weight"], model.params["bias"][:, None]].T, expected, atol=1e-8)
    assert history.stopped == "converged" and len(history.loss) < 40


def test_a_linear_cell_without_steps_between_is_least_squares_too():
    x, y = RNG.normal(size=(80, 1, 3)), RNG.normal(size=(80, 1))
    model = pylstm.SequenceModel("rnn_linear", 3, 3, 1, dtype="float64", seed=0)
    fit_lbfgs(model, (x, y), iterations=2000, gradient_tolerance=1e-9, loss_tolerance=0)
    design = np.c_[x[:, 0], np.ones(80)]
    best = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(model.predict(x), best, atol=1e-6)


def test_a_net_learns_more_than_by_as_many_steps_of_adam():
    model, other = make(), make()
    history = fit_lbfgs(model, (X, Y), iterations=100)
    assert history.loss[-1] < 0.01 * history.steps[0] and history.loss == sorted(history.loss, reverse=True)
    assert len(history.steps) == len(history.norms) >= len(history.loss)
    assert model.loss(X, Y) == pytest.approx(min(history.steps), rel=1e-12)
    adam = pylstm.fit(
        other, (X, Y), epochs=len(history.steps), batch_size=60, optimiser=pylstm.Adam(other.params, 0.01)
    )
    assert history.loss[-1] < adam.loss[-1]


def test_ragged_rows_and_float32():
    x = Sequences(X.astype("f4"), RNG.integers(0, 8, size=60))
    model = make(dtype="float32", num_layers=2)
    history = fit_lbfgs(model, (x, Y.astype("f4")), iterations=30)
    assert min(history.steps) < 0.5 * history.steps[0] and history.stopped in ("iterations", "stalled", "converged")
    assert model.loss(x, Y.astype("f4")) == pytest.approx(min(history.steps), rel=1e-6)


def test_how_it_ends():
    assert fit_lbfgs(make(), (X, Y), iterations=3).stopped == "iterations"
    seen = []
    history = fit_lbfgs(make(), (X, Y), callbacks=[seen.append, lambda history: len(history.loss) == 2])
    assert history.stopped == "callback" and len(history.loss) == 2 and seen == [history, history]


class Interrupting(pylstm.SequenceModel):
    number = signal.SIGINT

    def gradients(self, *batch):
        self.count = getattr(self, "count", 0) + 1
        if self.count == 7:
            os.kill(os.getpid(), self.number)
        return super().gradients(*batch)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_last_iteration_is_sent_again(number, monkeypatch):
    received, best = [], lbfgs._Objective.set_best

    def late(objective):
        os.kill(os.getpid(), number)
        best(objective)

    monkeypatch.setattr(lbfgs._Objective, "set_best", late)
    before = signal.signal(number, lambda number, frame: received.append(number))
    try:
        history = fit_lbfgs(pylstm.SequenceModel("gru", 2, 6, 1, dtype="float64", seed=1), (X, Y), iterations=2)
    finally:
        signal.signal(number, before)
    assert received == [number] and history.stopped == "iterations"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_best_parameters(number):
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        model = Interrupting("gru", 2, 6, 1, dtype="float64", seed=1)
        model.number = number
        history = fit_lbfgs(model, (X, Y))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert history.stopped == "interrupted" and len(history.steps) == 7
    assert received == ([signal.SIGTERM] if number == signal.SIGTERM else [])
    assert model.loss(X, Y) == pytest.approx(min(history.steps), rel=1e-12)


@pytest.mark.parametrize("worst", [np.nan, 1e3])
def test_what_is_set_is_the_best_and_not_the_last(worst):
    class Cliff(pylstm.SequenceModel):
        def gradients(self, *batch):
            value, grads = super().gradients(*batch)
            self.seen = [*getattr(self, "seen", []), (value, flats(self))]
            return (value if len(self.seen) < 6 else worst), grads

    model = Cliff("gru", 2, 6, 1, dtype="float64", seed=1)
    if np.isnan(worst):
        with pytest.raises(TrainingDiverged, match="diverged at evaluation 6: loss nan"):
            fit_lbfgs(model, (X, Y))
    else:
        fit_lbfgs(model, (X, Y))
    np.testing.assert_array_equal(flats(model), min(model.seen[:5], key=lambda each: each[0])[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_lbfgs(make(), (X, Y), iterations=0), "iterations must be at least 1, got 0"),
        (lambda: fit_lbfgs(make(), (X, Y[:3])), "same number of rows"),
        (lambda: fit_lbfgs(make(num_layers=2, dropout=0.5), (X, Y)), r"switch dropout off with model.eval\(\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_dropout_that_is_off_is_none():
    model = make(num_layers=2, dropout=0.5).eval()
    assert fit_lbfgs(model, (X, Y), iterations=5).loss[-1] == pytest.approx(model.loss(X, Y), rel=1e-12)


def test_without_scipy_the_extra_is_named():
    code = (
        "import sys; sys.modules['scipy'] = sys.modules['scipy.optimize'] = None\n"
        "import numpy as np, pylstm\n"
        "try: pylstm.fit_lbfgs(None, ())\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "fit_lbfgs needs scipy: pip install 'pylstm[scipy]'", done.stderr
