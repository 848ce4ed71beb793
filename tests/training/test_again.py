"""A trainer after an exception, wherever it came from: `run` again goes on as if there had been none."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.optim.optimisers import Adam
from pylstm.optim.schedules import Plateau

rng = np.random.default_rng(4)
X = rng.normal(size=(20, 5, 2))
Y = X.sum(axis=(1, 2))


class Stop(BaseException):
    """What Ctrl-C is to the code that it interrupts."""


def nth(n, function):
    """`function`, whose call number n raises."""
    calls = []

    def call(*arguments, **options):
        calls.append(1)
        if len(calls) == n:
            raise Stop("stopped")
        return function(*arguments, **options)

    return call


def trainer(**options):
    model = pylstm.SequenceModel("gru", 2, 4, 1, num_layers=2, dropout=0.3, dtype="float64", seed=0)
    usual = {"epochs": 5, "batch_size": 8, "validation": 0.2, "patience": 4, "schedule": Plateau(0.1, patience=0)}
    return pylstm.Trainer(model, (X, Y), **(usual | options))


def same(one, other):
    assert one.history == other.history
    assert all(np.array_equal(a.flat, b.flat) for a, b in zip(one.params, other.params))


WHERE = {
    "gradients": lambda each: (each.model, "gradients"),
    "loss of the validation": lambda each: (each.model, "loss"),
    "validate": lambda each: (each, "validate"),
    "schedule": lambda each: (each.schedule, "observe"),
    "optimiser": lambda each: (each.optimiser, "step"),
    "head": lambda each: (each.model.head, "over"),
    "order": lambda each: (each.source, "draw_order"),
}


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("where", WHERE)
def test_run_goes_on_with_the_same_bits(where, n, monkeypatch):
    whole, broken = trainer(), trainer()
    whole.run()
    thing, name = WHERE[where](broken)
    with monkeypatch.context() as patch:
        if where == "head":
            patch.setattr(type(thing), name, nth(n, getattr(type(thing), name)))
        else:
            patch.setattr(thing, name, nth(n, getattr(thing, name)))
        with pytest.raises(Stop):
            broken.run()
    history = broken.run()
    assert len(history.loss) == len(history.validation_loss) == len(history.lr) == broken.epoch
    assert len(history.steps) == len(history.norms) == broken.step
    same(broken, whole)


def test_a_checkpoint_of_an_epoch_that_was_not_ended(tmp_path, monkeypatch):
    whole, broken = trainer(), trainer()
    whole.run()
    monkeypatch.setattr(broken, "validate", nth(2, broken.validate))
    with pytest.raises(Stop):
        broken.run()
    broken.save_checkpoint(tmp_path / "c")
    resumed = trainer().resume(tmp_path / "c")
    resumed.run()
    same(resumed, whole)


class Rising:
    """A model whose validation loss rises from the first epoch on."""

    def __init__(self):
        self.params = pylstm.Parameters({"w": (1,)}, "float64")
        self.judged = 0

    def gradients(self, rows):
        return 1.0, self.params.zeros_like()

    def loss(self, rows):
        self.judged += 1
        return float(self.judged)  # of two batches each time


@pytest.mark.parametrize("kept", [False, True])
def test_a_fit_that_ended_early_stays_so_after_an_exception_in_a_callback(kept, tmp_path):
    def callback(each):
        if each.epoch == 3:  # patience is used up
            each.save_checkpoint(tmp_path / "c")
            raise Stop

    def make():
        data = (np.arange(6.0),)
        return pylstm.Trainer(Rising(), data, validation=data, patience=2, batch_size=3, callbacks=[callback])

    broken = make()
    with pytest.raises(Stop):
        broken.run()
    again = make().resume(tmp_path / "c") if kept else broken
    history = again.run()
    assert history.stopped == "early" and history.validation_loss == [1.5, 3.5, 5.5] and len(history.steps) == 6


def test_a_request_to_stop_is_kept_by_an_exception():
    def callback(each):
        each.stop()
        raise Stop

    broken = trainer(callbacks=[callback])
    with pytest.raises(Stop):
        broken.run()
    assert broken.run().stopped == "callback" and broken.epoch == 1


def test_a_text_trainer_whose_optimiser_failed_has_its_states(monkeypatch):
    from pylstm.text.settings import Budget, TextSettings
    from pylstm.text.trainer import TextTrainer

    def make():
        return TextTrainer("to be or not to be, that is it. " * 40, TextSettings("gru", 8, 4, 4, 32))

    whole, broken = make(), make()
    whole.run(Budget(steps=6))
    with monkeypatch.context() as patch:
        patch.setattr(Adam, "step", nth(3, Adam.step))
        with pytest.raises(Stop):
            broken.run(Budget(steps=6))
    broken.run(Budget(steps=6))
    assert broken.trace == whole.trace and len(whole.trace) == 6


def test_the_mean_of_an_epoch_weighs_each_batch_by_its_rows():
    history = trainer(validation=None, patience=None, schedule=None, epochs=2).run()
    steps = np.array(history.steps).reshape(2, 3)
    np.testing.assert_allclose(history.loss, steps @ [8, 8, 4] / 20, rtol=1e-15)
