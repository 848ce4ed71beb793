"""`fit` and `Trainer`: learning, validation, early stopping, resume after a kill, divergence, Ctrl-C, hooks."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import pylstm
from pylstm import plugins
from pylstm.optim.schedules import Plateau, constant
from pylstm.training.checkpoint import read_checkpoint
from pylstm.training.divergence import TrainingDiverged
from pylstm.training.fitting import fit
from pylstm.training.trainer import Trainer

RNG = np.random.default_rng(6)
X = RNG.normal(size=(70, 8, 2)).astype("f4")
Y = X[:, :, 0].sum(axis=1)
SCRIPT = """
import sys
import numpy as np, pylstm
rng = np.random.default_rng(6)
x = rng.normal(size=(70, 8, 2)).astype("f4")
model = pylstm.SequenceModel("lstm", 2, 9, 1, seed=3)
optimiser = pylstm.AdamW(model.params, lr=1e-3)
history = pylstm.fit(model, (x, x[:, :, 0].sum(axis=1)), validation=0.2, optimiser=optimiser, batch_size=16,
    patience=10**6, epochs=int(sys.argv[2]), checkpoint=sys.argv[1], every=0.05, resume=True)
pylstm.save(sys.argv[1] + ".model", model)
print(history.stopped)
"""


def make(seed=3):
    return pylstm.SequenceModel("lstm", 2, 9, 1, seed=seed)


def flats(model):
    return np.concatenate([each.flat for each in model.params])


def test_fit_learns():
    model = make()
    history = fit(model, (X, Y), optimiser=pylstm.Adam(model.params, lr=0.02), epochs=60, batch_size=16)
    assert history.loss[-1] < 0.1 * history.loss[0] and history.stopped == "epochs"
    assert len(history.loss) == 60 and len(history.steps) == len(history.norms) == 60 * 5
    assert np.mean((model.predict(X)[:, 0] - Y) ** 2) < 0.2 * Y.var()


def test_an_epoch_sees_every_row_once_in_an_order_of_its_own():
    class Recorder:
        params = pylstm.Parameters({"w": (1,)}, "float64")
        rows = []

        def gradients(self, rows):
            self.rows.append(rows.tolist())
            return float(rows.mean()), self.params.zeros_like()

    def orders(**options):
        Recorder.rows = []
        history = fit(Recorder(), (np.arange(10),), epochs=2, batch_size=4, **options)
        assert history.loss == pytest.approx([4.5, 4.5])  # the last batch has two rows
        rows = Recorder.rows
        assert [len(each) for each in rows] == [4, 4, 2] * 2
        return [row for each in rows[:3] for row in each], [row for each in rows[3:] for row in each]

    first, second = orders()
    assert sorted(first) == sorted(second) == list(range(10)) and first != second
    assert orders() == (first, second) != orders(seed=1)
    assert orders(shuffle=False) == (list(range(10)), list(range(10)))


def run_script(*arguments):
    command = [sys.executable, "-P", "-c", SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_killed_fit_resumes_with_the_same_bits(tmp_path):
    path = tmp_path / "fit.checkpoint"
    process = subprocess.Popen([sys.executable, "-P", "-c", SCRIPT, str(path), "1000000"])
    limit = time.monotonic() + 60
    while not (path.exists() and read_checkpoint(path, "fit")["counts"]["step"] > 20) and time.monotonic() < limit:
        time.sleep(0.02)
    process.kill()
    process.wait()
    epochs = read_checkpoint(path, "fit")["counts"]["epoch"] + 5
    resumed, whole = run_script(path, epochs), run_script(tmp_path / "whole", epochs)
    assert resumed.stdout == whole.stdout == "epochs\n", resumed.stderr + whole.stderr
    one, two = read_checkpoint(path, "fit"), read_checkpoint(tmp_path / "whole", "fit")
    assert len(one["history"]["loss"]) == epochs
    assert flatten(one | {"seconds": 0}) == flatten(two | {"seconds": 0})
    assert (tmp_path / "fit.checkpoint.model").read_bytes() == (tmp_path / "whole.model").read_bytes()


def flatten(tree):
    if isinstance(tree, dict):
        return {key: flatten(value) for key, value in tree.items()}
    return (tree.dtype, tree.tolist()) if isinstance(tree, np.ndarray) else tree


def test_resume_within_an_epoch_with_the_generator_of_the_model(tmp_path):
    class Noisy(pylstm.SequenceModel):
        def gradients(self, x, y):
            return super().gradients(x + self.rng.normal(size=x.shape).astype("f4"), y)

    def trainer():
        model = Noisy("gru", 2, 5, 1, seed=1)
        model.rng = np.random.default_rng(5)
        return Trainer(model, (X, Y), schedule=Plateau(0.01, patience=1), epochs=4, batch_size=16, validation=0.3)

    whole = trainer()
    expected = whole.run()
    cut = trainer()
    for _ in range(3):
        cut._train_step()  # three of the four steps of an epoch
    cut.save_checkpoint(tmp_path / "c")
    resumed = trainer().resume(tmp_path / "c")
    assert resumed.step == 3 and resumed.run() == expected
    np.testing.assert_array_equal(flats(resumed.model), flats(whole.model))


class Scripted:
    """Validation losses as told, from epoch `start` on; the parameter is the sum of the learning rates."""

    LOSSES = (5.0, 4.0, 4.5, 4.4, 4.3, 4.2, 4.1, 3.0)

    def __init__(self, start=0):
        self.params = pylstm.Parameters({"w": (1,)}, "float64")
        self.losses = iter(self.LOSSES[start:])

    def gradients(self, rows):
        grads = self.params.zeros_like()
        grads.flat[...] = -1
        return 1.0, grads

    def loss(self, rows):
        return next(self.losses)


def scripted(epochs, start=0, **options):
    model = Scripted(start)
    options |= {"schedule": Plateau(1.0, factor=0.5, patience=1), "optimiser": pylstm.SGD(model.params, lr=7.0)}
    history = fit(
        model, (np.arange(3),), validation=(np.arange(3),), patience=5, batch_size=3, epochs=epochs, **options
    )
    return history, model.params.flat[0]


def test_patience_and_plateau_go_on_from_a_checkpoint(tmp_path):
    history, w = scripted(9)
    assert history.lr == [1, 1, 1, 1, 0.5, 0.5, 0.25] and history.stopped == "early" and w == 2
    scripted(3, checkpoint=tmp_path / "c")
    resumed, again = scripted(9, start=3, checkpoint=tmp_path / "c", resume=True)
    assert resumed == history and again == w


def test_early_stopping_restores_the_best_weights():
    model, seen = make(), []
    options = {"optimiser": pylstm.SGD(model.params, lr=0.3), "clip": None}
    history = fit(
        model, (X[:20], Y[:20]), validation=(X[20:], Y[20:]), epochs=200, patience=3,
        callbacks=[lambda trainer: seen.append(flats(trainer.model))], **options,
    )  # fmt: skip
    best = history.best_epoch
    assert history.stopped == "early" and len(history.loss) == best + 4
    assert history.validation_loss[best] == min(history.validation_loss)
    np.testing.assert_array_equal(flats(model), seen[best])
    assert not np.array_equal(flats(model), seen[-1])


def test_a_share_for_validation_is_not_trained_on():
    trainer = Trainer(make(), (X, Y), validation=0.2, epochs=1)
    assert len(trainer.data[0]) == 56 and len(trainer.validation[0]) == 14
    rows = np.concatenate([trainer.data[1], trainer.validation[1]])
    assert sorted(rows.tolist()) == sorted(Y.tolist())
    expected = float(np.mean((trainer.model.predict(trainer.validation[0])[:, 0] - trainer.validation[1]) ** 2))
    assert trainer.validate() == pytest.approx(expected, rel=1e-5)


def test_divergence_names_step_and_norm_and_spares_the_parameters():
    model = make()
    trainer = Trainer(model, (X, Y), batch_size=16, shuffle=False, optimiser=pylstm.SGD(model.params, lr=0.1))
    trainer.callbacks.append(lambda trainer: trainer.model.head.params.flat.fill(1e30))
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(
            TrainingDiverged,
            match=r"at step 6: loss inf, .* the step before, norm of the gradient .*: try a lower learning rate",
        ),
    ):
        trainer.run()
    assert trainer.step == 5 and np.isfinite(flats(model)).all()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_last_step_is_sent_again(number, tmp_path, monkeypatch):
    received, save = [], Trainer.save_checkpoint

    def late(trainer, path):
        os.kill(os.getpid(), number)
        save(trainer, path)

    monkeypatch.setattr(Trainer, "save_checkpoint", late)
    before = signal.signal(number, lambda number, frame: received.append(number))
    try:
        history = fit(make(), (X, Y), epochs=2, checkpoint=tmp_path / "c", every=1e9)
    finally:
        signal.signal(number, before)
    assert received == [number] and history.stopped == "epochs" and (tmp_path / "c").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_fit_after_the_step(number, tmp_path):
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        model = make()
        callback = lambda trainer: os.kill(os.getpid(), number) if trainer.epoch == 2 else None  # noqa: E731
        history = fit(model, (X, Y), epochs=9, callbacks=[callback], checkpoint=tmp_path / "c")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert history.stopped == "interrupted" and len(history.loss) == 2
    assert received == ([number] if number == signal.SIGTERM else [])
    again, whole = make(), make()
    resumed = fit(again, (X, Y), epochs=9, checkpoint=tmp_path / "c", resume=True)
    assert resumed == fit(whole, (X, Y), epochs=9)
    np.testing.assert_array_equal(flats(again), flats(whole))


def test_schedules_set_the_rate_and_a_callback_stops():
    model = make()
    optimiser = pylstm.SGD(model.params, lr=9.0)
    history = fit(model, (X, Y), optimiser=optimiser, schedule=lambda step: 1e-3 / (step + 1), epochs=2, batch_size=35)
    assert history.lr == [5e-4, 2.5e-4]
    history = fit(model, (X, Y), schedule=constant(0.0), callbacks=[lambda trainer: trainer.epoch == 3])
    assert history.stopped == "callback" and len(history.loss) == 3


@pytest.fixture
def manager(monkeypatch):
    own = plugins.Plugins()
    monkeypatch.setattr(plugins, "_plugins", own)
    own.load()
    return own.manager


def test_hooks_are_called_in_order(manager):
    calls = []

    class Plugin:
        @pylstm.hookimpl
        def pylstm_on_fit_begin(self, trainer):
            calls.append(("begin", trainer.step))

        @pylstm.hookimpl
        def pylstm_on_step_end(self, trainer):
            calls.append(("step", trainer.step))

        @pylstm.hookimpl
        def pylstm_on_epoch_end(self, trainer):
            calls.append(("epoch", trainer.epoch))
            assert len(trainer.history.loss) == trainer.epoch
            if trainer.epoch == 2:
                trainer.stop()

        @pylstm.hookimpl
        def pylstm_on_fit_end(self, trainer):
            calls.append(("end", trainer.history.stopped))

    manager.register(Plugin())
    fit(make(), (X, Y), epochs=5, batch_size=40)
    steps = [("step", 1), ("step", 2), ("epoch", 1), ("step", 3), ("step", 4), ("epoch", 2)]
    assert calls == [("begin", 0), *steps, ("end", "callback")]


def test_the_bar(capsys):
    fit(make(), (X, Y), epochs=2, validation=0.2, progress=True)
    shown = capsys.readouterr().err
    assert "4/4" in shown and "epoch 2, loss" in shown and "validation" in shown
    fit(make(), (X, Y), epochs=1, progress=False)
    assert capsys.readouterr().err == ""


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    path = tmp_path / "c"
    fit(make(), (X, Y), epochs=1, checkpoint=path)
    for data, options, message in [
        ((X + 1, Y), {}, "data was"),
        ((X, Y), {"batch_size": 5, "seed": 1}, "batch_size was 32, now 5; seed was 0, now 1"),
        ((X, Y), {"validation": 0.5}, "validation was None"),
        ((X, Y), {"schedule": constant(0.1)}, "schedule was 'none'"),
    ]:
        with pytest.raises(ValueError, match=message):
            fit(make(), data, checkpoint=path, resume=True, **options)
    with pytest.raises(ValueError, match="parameters was"):
        fit(pylstm.SequenceModel("lstm", 2, 8, 1), (X, Y), checkpoint=path, resume=True)
    pylstm.save(tmp_path / "m", make())
    with pytest.raises(ValueError, match="must hold a checkpoint of fit, got a sequence_model"):
        fit(make(), (X, Y), checkpoint=tmp_path / "m", resume=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"patience": 2}, ValueError, "patience needs validation"),
        ({"clip": 0}, ValueError, "clip must be above 0"),
        ({"validation": 1.0}, ValueError, "validation must be a share"),
        ({"validation": (X, Y[:3])}, ValueError, "validation must be arrays with the same number of rows"),
        ({"data": X}, TypeError, r"data must be a tuple of arrays such as \(x, y\)"),
        ({"data": (X, Y[:3])}, ValueError, r"\(70, 8, 2\), \(3,\)"),
        ({"data": (X[:0], Y[:0])}, ValueError, "at least one"),
        ({"resume": True}, ValueError, "resume needs a checkpoint"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an integer, got 1.5"),
        ({"optimiser": "adam"}, TypeError, r"an optimiser such as pylstm.Adam\(model.params\), got 'adam'"),
        ({"optimiser": pylstm.Adam(make().params)}, ValueError, "the optimiser holds parameters other than"),
        ({"checkpoint": "no/such/folder/run"}, FileNotFoundError, "checkpoint no/such/folder/run: the folder"),
    ],
)
def test_refusals(options, error, message):
    with pytest.raises(error, match=message):
        fit(make(), options.pop("data", (X, Y)), **options)
