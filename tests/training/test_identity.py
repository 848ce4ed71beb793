"""A fit goes on from a checkpoint only if it computes what the fit that wrote it computed."""

from __future__ import annotations

import contextlib
import re
import signal

import numpy as np
import pytest

import pylstm
from pylstm.optim.schedules import Plateau

X = np.random.default_rng(3).normal(size=(12, 4, 2))
Y = X.sum(axis=(1, 2))


def model(cell="cornn", **options):
    return pylstm.SequenceModel(cell, 2, 4, 1, dtype="float64", seed=0, **options)


def resume(path, net, **options):
    return pylstm.fit(net, (X, Y), epochs=3, checkpoint=path, resume=True, **options)


def write(path, net, **options):
    pylstm.fit(net, (X, Y), epochs=2, checkpoint=path, **options)


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        ({"dt": 0.02}, {"dt": 0.05}, "model.layer.options.dt was 0.02, now 0.05"),
        ({}, {"dt": 0.05}, r"model.layer.options.dt was 0\.\d+, now 0.05"),
        ({"num_layers": 2, "dt": 0.02}, {"num_layers": 2, "dt": 0.05}, "model.layer.0.options.dt was 0.02, now 0.05"),
        ({"num_layers": 2, "dropout": 0.1}, {"num_layers": 2}, "model.layer.arguments.dropout was 0.1, now 0.0"),
        ({"num_layers": 2, "residual": True}, {"num_layers": 2}, "model.layer.arguments.residual"),
        ({"read": "mean"}, {"read": "max"}, "model.read was 'mean', now 'max'"),
        ({"loss": "huber"}, {}, "model.loss was 'huber', now 'mean_squared_error'"),
        ({"loss": "huber", "loss_options": {"delta": 1.5}}, {"loss": "huber"}, "model.loss_options.delta was 1.5, now"),
        ({"head_sizes": (3,)}, {"head_sizes": (3,), "activation": "tanh"}, "activation was 'relu', now 'tanh'"),
        ({"cell": "rnn_tanh"}, {"cell": "rnn_relu"}, "model.layer.cell was 'rnn_tanh', now 'rnn_relu'"),
    ],
)
def test_another_model_is_refused(was, now, message, tmp_path):
    write(tmp_path / "c", model(**was))
    assert len(resume(tmp_path / "c", model(**was)).loss) == 3
    other = model(**now)
    before = other.layer.params.flat.copy()
    with pytest.raises(ValueError, match=f"belongs to another run: .*{message}"):
        resume(tmp_path / "c", other)
    assert np.array_equal(other.layer.params.flat, before)


def test_evaluation_mode_is_another_computation(tmp_path):
    write(tmp_path / "c", model(num_layers=2, dropout=0.5))
    with pytest.raises(ValueError, match=r"model\.training was True, now False"):
        resume(tmp_path / "c", model(num_layers=2, dropout=0.5).eval())


@pytest.mark.parametrize(
    ("kind", "was", "now", "message"),
    [
        (pylstm.AdamW, {"weight_decay": 0.1}, {"weight_decay": 0.2}, "optimiser.weight_decay was 0.1, now 0.2"),
        (pylstm.Adam, {"betas": (0.8, 0.9)}, {}, r"optimiser.betas was \[0.8, 0.9\]"),
        (pylstm.SGD, {"lr": 0.1}, {"lr": 0.2}, "optimiser.lr was 0.1, now 0.2"),
    ],
)
def test_another_optimiser_is_refused(kind, was, now, message, tmp_path):
    def made(net, options):
        return {"optimiser": kind(net.params, **({"lr": 0.01} | options))}

    for net, options in [(model(), was)]:
        write(tmp_path / "c", net, **made(net, options))
    net = model()
    with pytest.raises(ValueError, match=message):
        resume(tmp_path / "c", net, **made(net, now))
    net = model()
    resume(tmp_path / "c", net, **made(net, was))


def test_another_plateau_is_refused_and_one_whose_rate_has_fallen_is_not(tmp_path):
    def plateau(**options):
        return Plateau(0.5, patience=0, threshold=0.9, **options)

    write(tmp_path / "c", model(), schedule=plateau())
    assert resume(tmp_path / "c", model(), schedule=plateau()).lr[-1] < 0.5
    with pytest.raises(ValueError, match=r"schedule.settings was .Plateau\(0.5.*factor=0.1.*now .*factor=0.2"):
        resume(tmp_path / "c", model(), schedule=plateau(factor=0.2))


def cell_of(slope):
    class Own(pylstm.Cell):
        name = "own"
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z):
            return {"h": pylstm.tanh(z.a * slope)}

    return Own


class Net:
    """A model of a user's own, which cannot be saved."""

    def __init__(self, cell):
        self.body, self.note = pylstm.Recurrent(cell, 2, 1, dtype="float64", seed=0), object()
        self.params = self.body.params

    def gradients(self, x, y):
        run = self.body(x.swapaxes(0, 1))
        dy = np.zeros_like(run.y)
        loss, dy[-1, :, 0] = pylstm.squared_error(run.y[-1, :, 0], y)
        return loss, run.backward(dy).params


@pytest.mark.parametrize("make", [model, Net])
def test_a_cell_that_was_written_anew_under_its_name_is_refused(make, tmp_path):
    write(tmp_path / "c", make(cell_of(1.0)))
    assert len(resume(tmp_path / "c", make(cell_of(1.0))).loss) == 3
    with pytest.raises(ValueError, match=r"values of the cell was '\w+', now '\w+'"):
        resume(tmp_path / "c", make(cell_of(1.1)))


def test_a_model_of_ones_own_with_other_options_is_refused(tmp_path):
    path = tmp_path / "c"
    with_dt = lambda dt: Net(pylstm.Recurrent("cornn", 2, 1, dt=dt).cell)  # noqa: E731
    write(path, with_dt(0.02))
    with pytest.raises(ValueError, match=re.escape("model.body.options.dt was 0.02, now 0.05")):
        resume(path, with_dt(0.05))


RUNS = {
    "plateau": lambda net: {"schedule": Plateau(0.05, patience=0, threshold=0.9)},
    "cosine": lambda net: {
        "optimiser": pylstm.Adam(net.params, lr=0.01),
        "schedule": pylstm.optim.cosine(0.05, steps=6),
    },
    "both": lambda net: {
        "optimiser": pylstm.SGD(net.params, 0.02),
        "schedule": Plateau(0.05, patience=0, threshold=0.9),
    },
    "callback": lambda net: {"optimiser": pylstm.AdamW(net.params, lr=0.02), "callbacks": [lower_the_rate]},
}
"""Options of a fit of which a run changes what they hold."""


def lower_the_rate(trainer):
    trainer.optimiser.lr *= 0.7


def interrupt(trainer):
    signal.raise_signal(signal.SIGINT)


def fail(trainer):
    raise ZeroDivisionError


def end_of_epoch_two(what):
    calls = []

    def callback(trainer):
        calls.append(1)
        if len(calls) == 2:
            what(trainer)

    return callback


@pytest.mark.parametrize("how", [interrupt, fail, None])
@pytest.mark.parametrize("run", RUNS)
def test_the_same_objects_go_on(run, how, tmp_path):
    """A fit that was cut, or had fewer epochs, resumed with the objects that it has changed."""

    def fitted(net, options, epochs=6, what=None, **more):
        callbacks = [*options.get("callbacks", ()), *([end_of_epoch_two(what)] if what else [])]
        return pylstm.fit(net, (X, Y), epochs=epochs, batch_size=6, **(options | more | {"callbacks": callbacks}))

    whole = model("gru")
    expected = fitted(whole, RUNS[run](whole))
    net, path = model("gru"), tmp_path / "c"
    options = RUNS[run](net)
    with contextlib.suppress(ZeroDivisionError):
        fitted(net, options, 6 if how else 2, how, checkpoint=path)
    history = fitted(net, options, checkpoint=path, resume=True)
    assert len(history.loss) == 6 and history == expected and len(set(history.lr)) > 1
    assert np.array_equal(net.params[0].flat, whole.params[0].flat)
    fresh = model("gru")
    assert fitted(fresh, RUNS[run](fresh), checkpoint=path, resume=True) == expected


def test_a_rate_that_the_user_has_set_is_another_setting(tmp_path):
    net, path = model("gru"), tmp_path / "c"
    options = RUNS["callback"](net)
    pylstm.fit(net, (X, Y), epochs=2, checkpoint=path, **options)
    options["optimiser"].lr = 0.5
    with pytest.raises(ValueError, match=r"optimiser\.lr was 0\.02, now 0\.5"):
        pylstm.fit(net, (X, Y), epochs=3, checkpoint=path, resume=True, **options)


def test_a_fit_begins_with_the_first_rate_of_a_plateau():
    plateau = Plateau(0.05, patience=0, threshold=0.9)
    first, second = (pylstm.fit(model("gru"), (X, Y), epochs=4, schedule=plateau) for _ in range(2))
    assert first == second and first.lr[0] == 0.05 > first.lr[-1] > plateau.lr
    assert repr(plateau) == repr(Plateau(0.05, patience=0, threshold=0.9))
    plateau.lr = 0.01
    assert pylstm.fit(model("gru"), (X, Y), epochs=1, schedule=plateau).lr == [0.01]
    assert repr(plateau).startswith("Plateau(0.01, ")


def test_the_rate_of_an_optimiser_is_no_setting_beside_a_schedule(tmp_path):
    def fitted(lr, epochs, **options):
        net = model("gru")
        options |= {"optimiser": pylstm.Adam(net.params, lr=lr), "schedule": pylstm.optim.cosine(0.05, steps=6)}
        return pylstm.fit(net, (X, Y), epochs=epochs, **options)

    fitted(0.01, 2, checkpoint=tmp_path / "c")
    assert fitted(0.03, 6, checkpoint=tmp_path / "c", resume=True) == fitted(0.01, 6)
