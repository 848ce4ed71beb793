"""The training hooks of plugins: called in every loop of training, and an exception in one leaves all usable."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import pylstm
from pylstm import cli, plugins
from pylstm.comparing.comparison import Settings, compare
from pylstm.text.settings import Budget, TextSettings
from pylstm.text.trainer import TextTrainer

rng = np.random.default_rng(0)
X = rng.normal(size=(10, 6, 2)).astype("float32")
Y = X.astype("f8").sum(axis=(1, 2))
TEXT = "to be or not to be, that is the question. " * 40


class Watcher:
    """Notes each call; raises at call number `at` of the hook `name`."""

    def __init__(self, name="", at=0):
        self.calls, self.name, self.left = [], name, at

    def note(self, name, trainer):
        assert callable(trainer.stop) and trainer.model is not None and isinstance(trainer.history, pylstm.History)
        assert hasattr(trainer, "optimiser")
        self.calls.append((name, trainer.step, trainer.epoch))
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                raise ZeroDivisionError(name)

    @pylstm.hookimpl
    def pylstm_on_fit_begin(self, trainer):
        self.note("begin", trainer)

    @pylstm.hookimpl
    def pylstm_on_step_end(self, trainer):
        assert len(trainer.history.steps) >= trainer.step > 0
        self.note("step", trainer)

    @pylstm.hookimpl
    def pylstm_on_epoch_end(self, trainer):
        assert len(trainer.history.loss) == trainer.epoch > 0
        self.note("epoch", trainer)

    @pylstm.hookimpl
    def pylstm_on_fit_end(self, trainer):
        assert trainer.history.stopped
        self.note("end", trainer)


@pytest.fixture
def watch(monkeypatch):
    own = plugins.Plugins()
    monkeypatch.setattr(plugins, "_plugins", own)
    own.load()

    def register(watcher):
        own.manager.register(watcher)
        return watcher

    yield register


def model():
    return pylstm.SequenceModel("gru", 2, 4, 1, dtype="float64", seed=0)


def text_trainer():
    return TextTrainer(TEXT, TextSettings(hidden_size=8, embedding_size=4, batch_size=4, length=32, depth=48))


def by_fit():
    return pylstm.fit(model(), (X.astype("f8"), Y), epochs=2, batch_size=4)


def by_forecast():
    return pylstm.ForecastModel("gru", 4, window=8, seed=0).fit(np.arange(30.0), epochs=2)


def by_classify():
    net = pylstm.ClassifyModel(["a", "b"], "gru", 4, seed=0)
    return net.fit([np.asarray(x) for x in X], np.arange(10) % 2, epochs=2)


def by_estimator():
    pytest.importorskip("sklearn")
    return pylstm.SequenceRegressor("gru", 4, epochs=2, batch_size=4, random_state=0).fit(X, Y)


def by_lbfgs():
    pytest.importorskip("scipy")
    return pylstm.fit_lbfgs(model(), (X.astype("f8"), Y), iterations=4)


def by_text():
    trainer = text_trainer()
    trainer.run(Budget(steps=2 * trainer.steps_per_epoch + 1))


def by_compare():
    return compare(["lstm", "gru"], "adding", Settings(params=300, steps=3, seeds=2))


def by_command(tmp_path):
    (tmp_path / "t.txt").write_text(TEXT)
    arguments = ["--steps", "3", "--hidden", "8", "--batch-size", "4", "--length", "32", "--quiet", "--save"]
    assert cli.main(["train", "text", str(tmp_path / "t.txt"), *arguments, str(tmp_path / "m")]) == 0


LOOPS = [by_fit, by_forecast, by_classify, by_estimator, by_lbfgs, by_text, by_compare]


@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_calls_every_hook(loop, watch):
    calls = watch(Watcher()).calls
    loop()
    fits = 4 if loop is by_compare else 1
    names = [name for name, *_ in calls]
    assert names.count("begin") == names.count("end") == fits
    steps = [step for name, step, _ in calls if name == "step"]
    if loop is by_compare:  # two cells in turn
        assert steps == [1, 1, 2, 2, 3, 3] * 2 and "epoch" not in names
        return
    assert names[0] == "begin" and names[-1] == "end" and steps == list(range(1, len(steps) + 1)) and len(steps) > 1
    epochs = [epoch for name, _, epoch in calls if name == "epoch"]
    assert epochs == list(range(1, len(epochs) + 1)) and len(epochs) >= 2
    assert all(a == "step" for a, b in itertools.pairwise(names) if b == "epoch")


def test_the_command_calls_them(watch, tmp_path):
    calls = watch(Watcher()).calls
    by_command(tmp_path)
    assert [name for name, *_ in calls].count("step") == 3 and calls[-1][0] == "end"


CASES = [(loop, name) for loop in LOOPS for name in ("begin", "step", "epoch", "end")]


@pytest.mark.parametrize(("loop", "name"), [case for case in CASES if case != (by_compare, "epoch")])
def test_an_exception_reaches_the_caller_and_the_next_fit_is_as_ever(loop, name, watch):
    expected = loop()
    watcher = watch(Watcher(name, 2 if name in ("step", "epoch") else 1))
    with pytest.raises(ZeroDivisionError, match=name):
        loop()
    if loop is not by_compare:
        assert watcher.calls[-1][0] == name and (name == "end" or "end" not in [call[0] for call in watcher.calls])
    again = loop()  # the watcher raises no more
    if isinstance(expected, pylstm.History):
        assert again == expected


@pytest.mark.parametrize(("name", "at"), [("begin", 1), ("step", 2), ("step", 3), ("epoch", 1)])
def test_a_trainer_goes_on_with_the_same_bits(name, at, watch):
    def make():
        return pylstm.Trainer(model(), (X.astype("f8"), Y), epochs=3, batch_size=4, validation=0.2, patience=3)

    whole, broken = make(), make()
    whole.run()
    watch(Watcher(name, at))
    with pytest.raises(ZeroDivisionError):
        broken.run()
    assert broken.run() == whole.history
    assert all(np.array_equal(a.flat, b.flat) for a, b in zip(whole.params, broken.params))


@pytest.mark.parametrize(("name", "at"), [("begin", 1), ("step", 2), ("epoch", 1)])
def test_a_text_trainer_goes_on_with_the_same_bits(name, at, watch):
    whole, broken = text_trainer(), text_trainer()
    budget = Budget(steps=2 * whole.steps_per_epoch)
    whole.run(budget)
    watch(Watcher(name, at))
    with pytest.raises(ZeroDivisionError):
        broken.run(budget)
    broken.run(budget)
    assert broken.history == whole.history and len(whole.history.loss) == 2
    assert all(np.array_equal(a.flat, b.flat) for a, b in zip(whole.model.params, broken.model.params))


class Stopper:
    @pylstm.hookimpl
    def pylstm_on_step_end(self, trainer):
        if trainer.step == 2:
            trainer.stop()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hook_ends_the_loop(loop, watch):
    watch(Stopper())
    calls = watch(Watcher()).calls
    history = loop()
    assert max(step for _, step, _ in calls) == 2 and calls[-1][0] == "end"
    if isinstance(history, pylstm.History):
        assert history.stopped == "callback"


def test_after_an_exception_lbfgs_has_the_best_parameters(watch):
    pytest.importorskip("scipy")
    net, data = model(), (X.astype("f8"), Y)
    before = net.loss(*data)
    watch(Watcher("step", 2))
    with pytest.raises(ZeroDivisionError):
        pylstm.fit_lbfgs(net, data, iterations=5)
    assert net.loss(*data) < before


class Raiser:
    """Raises in one hook."""

    def __init__(self, name, error):
        def hook(self, trainer):
            raise error

        setattr(type(self), name, pylstm.hookimpl(hook))


HOOKS = ["pylstm_on_fit_begin", "pylstm_on_step_end", "pylstm_on_epoch_end", "pylstm_on_fit_end"]


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("error", [StopIteration, GeneratorExit])
def test_what_ends_generators_does_not_pass_for_the_end_of_a_loop(loop, name, error, watch):
    if loop is by_compare and name == "pylstm_on_epoch_end":
        return  # it has no epochs
    watch(type("Own", (Raiser,), {})(name, error("from the hook")))
    if error is GeneratorExit:
        with pytest.raises(GeneratorExit, match="from the hook"):
            loop()
    else:
        with pytest.raises(RuntimeError, match=rf"{name} raised StopIteration: to end .*trainer.stop\(\)") as caught:
            loop()
        assert isinstance(caught.value.__cause__, StopIteration)


def end(_):
    raise StopIteration("from the callback")


def test_a_callback_that_raises_stop_iteration():
    with pytest.raises(RuntimeError, match="callback end raised StopIteration: to end the fit, return True"):
        pylstm.fit(model(), (X.astype("f8"), Y), epochs=2, callbacks=[end])
    pytest.importorskip("scipy")
    with pytest.raises(RuntimeError, match="callback end raised StopIteration: to end the fit, return True"):
        pylstm.fit_lbfgs(model(), (X.astype("f8"), Y), iterations=2, callbacks=[end])


@pytest.mark.parametrize("name", ["gradients", "loss"])
def test_a_model_that_raises_stop_iteration(name, monkeypatch):
    def raise_(*_):
        raise StopIteration("from the model")

    net = model()
    monkeypatch.setattr(net, name, raise_)
    with pytest.raises(StopIteration, match="from the model"):
        pylstm.fit(net, (X.astype("f8"), Y), epochs=2, validation=0.5)
    if name == "gradients":
        pytest.importorskip("scipy")
        with pytest.raises(StopIteration, match="from the model"):
            pylstm.fit_lbfgs(net, (X.astype("f8"), Y), iterations=2)


def test_a_loss_of_truncated_bptt_that_raises_stop_iteration():
    def loss(y, steps):
        raise StopIteration("from the loss")

    with pytest.raises(RuntimeError, match="the loss raised StopIteration"):
        list(pylstm.truncated_bptt(pylstm.GRU(2, 4), X, loss, 3))


class StopsAtTheBeginning(Watcher):
    @pylstm.hookimpl
    def pylstm_on_fit_begin(self, trainer):
        super().pylstm_on_fit_begin(trainer)
        trainer.stop()


@pytest.mark.parametrize("kind", ["fit", "text", "lbfgs"])
def test_a_stop_at_the_beginning_takes_no_step(kind, watch):
    if kind == "lbfgs":
        pytest.importorskip("scipy")
    watcher = watch(StopsAtTheBeginning())
    model = pylstm.SequenceModel("gru", 2, 4, 1, dtype="float64", seed=0)
    before = model.params.copy()
    data = (X.astype("f8"), Y)
    if kind == "text":
        trainer = TextTrainer(TEXT, TextSettings(hidden_size=4, batch_size=2, length=8))
        model, before = trainer.model, trainer.model.params.copy()
        history = trainer.run(Budget(steps=3))
    else:
        history = {"fit": pylstm.fit, "lbfgs": pylstm.fit_lbfgs}[kind](model, data)
    assert history.stopped == "callback" and not history.steps
    assert all(np.array_equal(a.flat, b.flat) for a, b in zip(model.params, before))
    assert [name for name, *_ in watcher.calls] == ["begin", "end"]
