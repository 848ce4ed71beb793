"""Fits of iterables of batches: lists, generators, functions, loaders; the bits of the arrays they are cut from."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

import pylstm
from pylstm.optim import Plateau

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 7, 3)).astype("float32")
Y = (X.sum(axis=(1, 2)) > 0).astype(int)
WEIGHTS = RNG.uniform(0.5, 2, size=90).astype("float32")
STARTS = range(0, 90, 8)
GAP = X.copy()
GAP[4, 2, 1] = np.nan


def batches(*arrays):
    return [tuple(each[k : k + 8] for each in arrays or (X, Y)) for k in STARTS]


class Loader:
    """As PyTorch's: lists, again for every epoch, and a length."""

    def __iter__(self):
        return map(list, batches())

    def __len__(self):
        return len(STARTS)


class OfUnknownLength(Loader):
    """As PyTorch's, of a data set without a length."""

    def __len__(self):
        raise TypeError("object of type 'Set' has no len()")


def one_buffer():
    x, y = np.empty((8, 7, 3), "float32"), np.empty(8, int)
    for each in batches():
        n = len(each[0])
        x[:n], y[:n] = each
        yield x[:n], y[:n]
        x[:], y[:] = np.nan, 99


KINDS = {
    "list": batches(), "loader": Loader(), "unknown length": OfUnknownLength(), "function": lambda: iter(batches()),
    "function of a list": batches, "one buffer": one_buffer, "method": Loader().__iter__,
}  # fmt: skip


def classifier(**options):
    return pylstm.SequenceModel("gru", 3, 4, 2, loss="softmax_cross_entropy", seed=0, **options)


def bits(model):
    return [each.flat.tobytes() for each in model.params]


def trained(data, model=None, **options):
    model = model or classifier()
    history = pylstm.fit(model, data, **({"epochs": 3, "batch_size": 8} | options))
    return bits(model), history.steps, history.loss, history.lr, history.validation_loss, history.stopped


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_of_arrays(kind):
    assert trained(KINDS[kind]) == trained((X, Y), shuffle=False)


def test_a_generator_for_one_epoch():
    assert trained(iter(batches()), epochs=1) == trained((X, Y), shuffle=False, epochs=1)


def test_validation_stopping_and_schedules():
    def fit(data, validation):
        options = {"epochs": 12, "patience": 2, "schedule": Plateau(0.3, patience=0), "shuffle": False}
        return trained(data, classifier(num_layers=2, dropout=0.3), validation=validation, **options)

    held = X[::-1][:20].copy(), 1 - Y[::-1][:20]
    in_batches = [tuple(each[k : k + 8] for each in held) for k in range(0, 20, 8)]
    expected = fit((X, Y), held)
    assert expected[-1] == "early"
    assert fit(batches(), held) == fit(Loader(), lambda: iter(in_batches)) == fit((X, Y), in_batches) == expected


def test_weights_and_rows_of_several_lengths():
    ragged = pylstm.Sequences(X, RNG.integers(1, 8, size=90))
    assert trained(batches(X, Y, WEIGHTS)) == trained((X, Y, WEIGHTS), shuffle=False)
    assert trained(batches(ragged, Y)) == trained((ragged, Y), shuffle=False)


def test_files(tmp_path):
    for number, (x, y) in enumerate(batches()):
        np.save(tmp_path / f"x{number}.npy", x)
        np.save(tmp_path / f"y{number}.npy", y)
    paths = [(tmp_path / f"x{number}.npy", str(tmp_path / f"y{number}.npy")) for number in range(len(STARTS))]
    assert trained(paths) == trained((X, Y), shuffle=False)


def test_a_loader_of_torch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    assert trained(loader, validation=loader) == trained((X, Y), shuffle=False, validation=(X, Y))
    torch.manual_seed(0)
    shuffled = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
    assert len(trained(shuffled, epochs=2)[1]) == 2 * len(STARTS)


def test_torch_is_not_imported():
    code = "import sys, pylstm, numpy as np\n"
    code += "b = [(np.zeros((4, 5, 3), 'f4'), np.zeros((4, 1), 'f4'))]\n"
    code += "pylstm.fit(pylstm.SequenceModel('gru', 3, 4, 1), b)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_epochs_of_unequal_length():
    lengths = iter([3, 1, 2])
    history = pylstm.fit(classifier(), lambda: batches()[: next(lengths)], epochs=3)
    assert len(history.steps) == 6 and len(history.loss) == 3
    assert history.loss[1] == history.steps[3]
    assert history.loss[2] == pytest.approx(np.mean(history.steps[4:]), rel=1e-15)


def test_what_can_be_read_once():
    with pytest.raises(ValueError, match=r"data can be read once, as it is a list_iterator, but epochs=2: pass a func"):
        pylstm.fit(classifier(), iter(batches()), epochs=2)
    with pytest.raises(ValueError, match="validation can be read once"):
        pylstm.fit(classifier(), (X, Y), validation=iter(batches()), epochs=2)
    same = iter(batches())
    model = classifier()
    trainer = pylstm.Trainer(model, lambda: same, epochs=2)
    with pytest.raises(ValueError, match="data holds no batch: of what can be read once"):
        trainer.run()
    assert trainer.epoch == 1 and bits(model) == trained((X, Y), shuffle=False, epochs=1)[0]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([], ValueError, "data must be arrays"),
        (lambda: [], ValueError, "data holds no batch"),
        (lambda: 3, TypeError, "data must return an iterable of batches, got int"),
        (lambda: [X], TypeError, r"data, batch 0: a batch must be a tuple of arrays such as \(x, y\), got ndarray"),
        (lambda: [{"x": X, "y": Y}], TypeError, r"got a dict: yield \(batch\['x'\], batch\['y'\]\)"),
        (lambda: [(X, Y[:3])], TypeError, r"same number of rows, at least one, got \(90, 7, 3\), \(3,\)"),
        (lambda: [(X[:0], Y[:0])], TypeError, "at least one"),
        (lambda: [(X,)], TypeError, r"data, batch 0: batch must be a tuple of arrays for gradients\(x, y, weights\)"),
        (lambda: [(X.astype("f8"), Y)], TypeError, r"data, batch 0: batch\[0\]: x must be float32, got float64"),
        (lambda: [(X, Y), (X[:, :, :2], Y)], ValueError, "data, batch 1: x must have shape"),
        (lambda: [(X, Y), (X, np.where(np.arange(90) == 7, 2, Y))], ValueError, r"data, batch 1: row 7: .*in 0\.\.1"),
        (lambda: [(X, Y), (GAP, Y)], ValueError,
         r"data, batch 1: batch\[0\] \(x\) holds nan at index \(4, 2, 1\): fill it"),
    ],
)  # fmt: skip
def test_refusals(data, error, message):
    with pytest.raises(error, match=message):
        pylstm.fit(classifier(), data)


@pytest.mark.parametrize(
    ("validation", "error", "message"),
    [
        (0.2, ValueError, r"validation must be data of its own, \(x, y\) or batches, as no share of the rows of bat"),
        (lambda: [(X.astype("f8"), Y)], TypeError, r"validation, batch 0: batch\[0\]: x must be float32"),
        (lambda: [(X, Y), (X[:, :, :2], Y)], ValueError, "validation, batch 1: x must have shape"),
        (lambda: [(X, Y), (GAP, Y)], FloatingPointError,
         r"batch 1 of validation\[0\] \(x\) holds nan at index \(4, 2, 1\)"),
    ],
)  # fmt: skip
def test_refusals_to_validate(validation, error, message):
    with pytest.raises(error, match=message):
        pylstm.fit(classifier(), batches(), validation=validation)


@pytest.mark.parametrize("fails", ["batches", "callback", "validation"])
def test_continued_after_an_exception(fails):
    """With the bits of a fit that was never stopped."""
    left = [1]

    def failing(where, value=True):
        if left and fails == where:
            left.clear()
            raise OSError("no disk")
        return value

    def source():
        for number, each in enumerate(batches()):
            if number == 5:
                failing("batches")
            yield each

    def held():
        if trainers and trainers[0].step:
            failing("validation")
        return [(X, Y)]

    trainers = []
    model = classifier()
    callbacks = [lambda _: failing("callback", None)]
    trainers.append(
        pylstm.Trainer(model, source, validation=held, patience=2, epochs=3, callbacks=callbacks, progress=False)
    )
    with pytest.raises(OSError, match="no disk"):
        trainers[0].run()
    history = trainers[0].run()
    expected = trained((X, Y), shuffle=False, validation=(X, Y), patience=2)
    assert (bits(model), history.steps, history.loss) == expected[:3]


@pytest.mark.parametrize("stop", [1, 8, 12, 13, 24])
def test_resumed(tmp_path, stop):
    def fit(**options):
        return trained(batches, checkpoint=tmp_path / "run", **options)

    model = classifier()
    trainer = pylstm.Trainer(model, batches, epochs=3, batch_size=8)
    step = trainer.optimiser.step

    def steps(grads):
        step(grads)
        if trainer.step == stop - 1:
            trainer.stop()

    trainer.optimiser.step = steps
    trainer.run(checkpoint=tmp_path / "run")
    del trainer.optimiser.step
    assert trainer.step == stop
    resumed = pylstm.Trainer(classifier(), batches, epochs=3, batch_size=8).resume(tmp_path / "run")
    resumed._stop = ""
    history = resumed.run()
    expected = trained((X, Y), shuffle=False)
    assert (bits(resumed.model), history.steps, history.loss) == expected[:3]


def test_fewer_batches_than_before(tmp_path):
    pylstm.fit(classifier(), batches, epochs=1, checkpoint=tmp_path / "run", callbacks=[lambda trainer: None])
    trainer = pylstm.Trainer(classifier(), batches, epochs=2).resume(tmp_path / "run")
    trainer._states = {"batch": 5, "epoch": 1, "last": 0}
    trainer.source.data._given = batches()[:3]
    with pytest.raises(ValueError, match="data holds 3 batches in epoch 2, of which 6 were trained on before"):
        trainer.run()


def test_ctrl_c_keeps_what_was_trained():
    model = classifier()

    def source():
        for number, each in enumerate(batches()):
            if number == 4:
                signal.raise_signal(signal.SIGINT)
            yield each

    history = pylstm.fit(model, source, epochs=3)
    assert history.stopped == "interrupted" and 3 <= len(history.steps) <= 5
    model_2 = classifier()
    trainer = pylstm.Trainer(model_2, batches()[: len(history.steps)], epochs=1)
    trainer.run()
    assert bits(model_2) == bits(model)


def test_progress_of_a_loader(capsys):
    progress = pylstm.training.progress.Progress(bar=False)
    pylstm.fit(classifier(), Loader(), epochs=2, progress=progress)
    of_unknown = pylstm.training.progress.Progress(bar=False)
    seen = capsys.readouterr().out.splitlines()
    assert len(seen) == 10 and seen[-1].lstrip().startswith("100%")
    pylstm.fit(classifier(), OfUnknownLength(), epochs=2, progress=of_unknown)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["50%", "100%"]


def test_a_model_of_ones_own():
    class Line:
        def __init__(self):
            self.head = pylstm.Linear(3, 1, seed=0)
            self.params = [self.head.params]

        def gradients(self, x, y):
            run = self.head(x)
            value, dy = pylstm.mean_squared_error(run.y, y)
            return value, [run.backward(dy).params]

    targets = X[:, 0, :1]
    assert trained(batches(X[:, 0], targets), Line()) == trained((X[:, 0], targets), Line(), shuffle=False)
