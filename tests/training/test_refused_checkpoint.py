"""A checkpoint that is refused has changed nothing: model, optimiser, schedule and random numbers are as before."""

import copy

import numpy as np
import pytest

import pylstm
from pylstm.training.checkpoint import read_checkpoint, write_checkpoint

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 4, 2)).astype("f"), RNG.normal(size=(12, 1)).astype("f")


def trainer(seed=0):
    model = pylstm.SequenceModel("lstm", 2, 3, 1, num_layers=2, dropout=0.3, seed=seed)
    schedule = pylstm.optim.Plateau(0.05, patience=0, threshold=0.9)
    optimiser = pylstm.AdamW(model.params)
    options = {"validation": (X, Y + 1), "patience": 9, "epochs": 3, "batch_size": 5, "progress": False}
    return pylstm.Trainer(model, (X, Y), optimiser=optimiser, schedule=schedule, **options)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "run.checkpoint"
    trainer().run(checkpoint=path)
    return path, read_checkpoint(path, "fit")


def memory(of):
    """All that the next step depends on, as text and bytes."""
    arrays = [each.flat.tobytes() for each in of.params]
    state = {name: np.asarray(value).tobytes() for name, value in of.optimiser.state_dict().items()}
    counts = (of.step, of.epoch, of.seconds, repr(of.history))
    return arrays, state, of.schedule.state_dict(), repr(of.model.rng.bit_generator.state), counts


def put(value):
    return lambda held, name: held.__setitem__(name, value)


def first(value):
    return lambda held, name: held[name].__setitem__(0, value)


def drop(held, name):
    del held[name]


NAN = np.full(3, np.nan)
WRONG = [
    ("optimiser.betas", put(["x", 0.999])),
    ("optimiser.eps", drop),
    ("optimiser.m.0", drop),
    ("optimiser.v.1", first(-1)),
    ("optimiser.m.1", first(np.nan)),
    ("optimiser.steps", put(-1)),
    ("schedule.cooling", put(True)),
    ("schedule.best", put("x")),
    ("schedule", put({})),
    ("rng", put([3])),
    ("rng", put(3)),
    ("rng", drop),
    ("best.1.bias", first(np.inf)),
    ("best.0", drop),
    ("best", put(None)),
    ("params.1.bias", first(np.nan)),
    ("params.1", drop),
    ("counts.step", put(-0.5)),
    ("counts.step", put(8)),
    ("counts.epoch", put(2)),
    ("counts.waited", drop),
    ("counts.waited", put("x")),
    ("history.best_epoch", put(3)),
    ("history.best_epoch", put(None)),
    ("history.best_epoch", put(-2)),
    ("history.steps", put(np.zeros(2))),
    ("history.norms", put(np.zeros(2))),
    ("history.loss", put(np.zeros(2))),
    ("history.lr", put(np.zeros(4))),
    ("history.validation_loss", put(np.zeros(1))),
    ("history.stopped", put(3)),
    ("history", drop),
    ("seconds", put(-1.0)),
    ("seconds", put("x")),
    ("states", put({"h": NAN})),
]


@pytest.mark.parametrize(("where", "change"), WRONG, ids=lambda each: each if isinstance(each, str) else "")
def test_nothing_is_changed_by_what_is_refused(where, change, saved):
    path, state = saved
    *folders, name = where.split(".") if "optimiser." not in where else ("optimiser", where.removeprefix("optimiser."))
    held = state
    for folder in folders:
        held = held[folder]
    change(held, name)
    write_checkpoint(path, "fit", state)
    other = trainer()
    other.run()
    before = copy.deepcopy(memory(other))
    with pytest.raises(ValueError, match=r"run\.checkpoint: "):
        other.resume(path)
    assert memory(other) == before


def test_the_whole_one_resumes(saved):
    path, _ = saved
    other, first_one = trainer(), trainer()
    first_one.run()
    assert memory(other.resume(path))[1:4] == memory(first_one)[1:4]  # the parameters of the best epoch were set
