"""A fit goes on from a checkpoint only if it computes what the fit that wrote it computed."""

from __future__ import annotations

import re

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
    with pytest.raises(ValueError, match=f"a checkpoint of another run: .*{message}"):
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
