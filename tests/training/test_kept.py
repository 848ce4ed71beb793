"""No fit replaces or loses what is not its own: files at the path of its checkpoint, and the training so far."""

import numpy as np
import pytest

import pylstm
from pylstm.text.settings import Budget, TextSettings
from pylstm.text.trainer import TextTrainer
from pylstm.training.checkpoint import read_checkpoint
from pylstm.training.divergence import TrainingDiverged

rng = np.random.default_rng(3)
X = rng.normal(size=(12, 5, 2)).astype("float32")
Y = X.sum(axis=(1, 2))
TEXT = "to be or not to be, that is the question. " * 40


def make(seed=0):
    return pylstm.SequenceModel("gru", 2, 4, 1, seed=seed)


def run_fit(path, *, batch_size=4, epochs=2, callbacks=(), **options):
    return pylstm.fit(
        make(), (X, Y), epochs=epochs, batch_size=batch_size, callbacks=callbacks, checkpoint=path, **options
    )


def text_trainer(**settings):
    return TextTrainer(TEXT, TextSettings(hidden_size=6, embedding_size=3, batch_size=4, length=8, **settings))


def run_text(path, *, batch_size=4, resume=False):
    trainer = TextTrainer(TEXT, TextSettings(hidden_size=6, embedding_size=3, batch_size=batch_size, length=8))
    trainer.run(Budget(steps=3), checkpoint=path)


RUNS = {"fit": run_fit, "text": run_text}


@pytest.mark.parametrize("task", RUNS)
@pytest.mark.parametrize("kind", ["text", "model", "cut", "other task"])
def test_another_file_is_not_replaced(tmp_path, task, kind):
    path = tmp_path / "precious"
    if kind == "model":
        pylstm.save(path, make())
    elif kind == "text":
        path.write_text("years of work")
    else:
        RUNS[task if kind == "cut" else {"fit": "text", "text": "fit"}[task]](path)
        path.write_bytes(path.read_bytes()[: -9 if kind == "cut" else None])
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match=f"precious: would replace a file that is not a checkpoint of {task}"
    ) as caught:
        RUNS[task](path)
    assert "another path" in str(caught.value) and "remove" in str(caught.value)
    assert path.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("task", RUNS)
def test_a_checkpoint_of_another_run_is_not_replaced(tmp_path, task):
    path = tmp_path / "c"
    RUNS[task](path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"belongs to another run: batch_size was 4, now 3; resume .*resume=True"):
        RUNS[task](path, batch_size=3)
    assert path.read_bytes() == before
    RUNS[task](path)  # finished, and the same run: the same bits again


def test_a_path_that_is_empty_or_no_file(tmp_path):
    (tmp_path / "c").touch()
    run_fit(tmp_path / "c")
    assert read_checkpoint(tmp_path / "c", "fit")["counts"]["epoch"] == 2
    for task in RUNS:
        with pytest.raises(ValueError, match="exists but is not a regular file"):
            RUNS[task](tmp_path)
        with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist"):
            RUNS[task](tmp_path / "none" / "c")


def test_the_model_does_not_move_before_the_refusal(tmp_path):
    model = make()
    before = [each.flat.copy() for each in model.params]
    (tmp_path / "c").write_text("x")
    with pytest.raises(ValueError, match="would replace"):
        pylstm.fit(model, (X, Y), checkpoint=tmp_path / "c")
    assert all(np.array_equal(a, b.flat) for a, b in zip(before, model.params))


@pytest.mark.parametrize("error", [RuntimeError("mine"), MemoryError(), SystemExit(3)], ids=repr)
def test_an_exception_leaves_a_checkpoint_of_a_fit(tmp_path, error):
    """And an unfinished run is not begun anew over it."""
    path = tmp_path / "c"

    def fail(trainer):
        if trainer.epoch == 2:
            raise error

    with pytest.raises(type(error)) as caught:
        run_fit(path, epochs=4, callbacks=[fail])
    assert caught.value.__notes__ == [f"the training so far, 6 steps, is in the checkpoint {path}: resume it"]
    before = path.read_bytes()
    with pytest.raises(ValueError, match="replace the checkpoint of a run that stopped after 6 steps: resume that run"):
        run_fit(path, epochs=4)
    assert path.read_bytes() == before
    model, whole = make(), make()
    options = {"epochs": 4, "batch_size": 4}
    history = pylstm.fit(model, (X, Y), checkpoint=path, resume=True, **options)
    assert history.steps == pylstm.fit(whole, (X, Y), **options).steps
    assert all(np.array_equal(a.flat, b.flat) for a, b in zip(model.params, whole.params))


@pytest.mark.parametrize(("hook", "at"), [("pylstm_on_step_end", 5), ("pylstm_on_epoch_end", None)])
def test_an_exception_leaves_a_checkpoint_of_a_text(tmp_path, monkeypatch, hook, at):
    trainer, path = text_trainer(), tmp_path / "c"
    at = at or trainer.steps_per_epoch
    budget = Budget(steps=trainer.steps_per_epoch + 4)

    def fail(_, *, trainer):
        if trainer.step == at:
            raise MemoryError("mine")

    hooks = {"pylstm_on_fit_begin", "pylstm_on_fit_end", "pylstm_on_step_end", "pylstm_on_epoch_end"}
    fake = type("Hooks", (), {name: fail if name == hook else lambda _, *, trainer: None for name in hooks})()
    with monkeypatch.context() as patch:
        patch.setattr("pylstm.training.following.training_hooks", lambda: fake)
        with pytest.raises(MemoryError) as caught:
            trainer.run(budget, checkpoint=path)
    assert caught.value.__notes__ == [f"the training so far, {at} steps, is in the checkpoint {path}: resume it"]
    resumed, whole = TextTrainer.resume(path, TEXT, trainer.settings), text_trainer()
    resumed.run(budget, checkpoint=path)
    whole.run(budget)
    assert resumed.trace == whole.trace and resumed.history.loss == whole.history.loss
    assert all(np.array_equal(a.flat, b.flat) for a, b in zip(resumed.model.params, whole.model.params))


@pytest.mark.parametrize("moved", [False, True])
def test_an_exception_in_a_step(tmp_path, monkeypatch, moved):
    """What an optimiser has half changed is not written."""
    path, trainer = tmp_path / "c", text_trainer()
    own = trainer.optimiser.step

    def step(grads):
        if trainer.step == 3:
            if moved:
                trainer.optimiser.steps += 1
            raise MemoryError
        own(grads)

    monkeypatch.setattr(trainer.optimiser, "step", step)
    with pytest.raises(MemoryError):
        trainer.run(Budget(steps=9), checkpoint=path)
    assert path.exists() is not moved
    if not moved:
        assert len(read_checkpoint(path, "text")["history"]["steps"]) == 3


def test_neither_ctrl_c_nor_a_divergence_writes(tmp_path):
    for error in (KeyboardInterrupt, TrainingDiverged):

        def fail(trainer, error=error):
            raise error

        with pytest.raises(error):
            run_fit(tmp_path / "c", callbacks=[fail])
        assert not (tmp_path / "c").exists()


def test_a_checkpoint_that_cannot_be_written_hides_no_error(tmp_path):
    (tmp_path / "d").mkdir()

    def fail(trainer):
        (tmp_path / "d").rmdir()
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine") as caught:
        run_fit(tmp_path / "d" / "c", callbacks=[fail])
    assert "could not be written either" in caught.value.__notes__[0]
