"""`pylstm train` neither replaces nor removes a file that is not its own."""

import itertools

import numpy as np
import pytest

from pylstm.saving import load
from pylstm.training.checkpoint import read_checkpoint

SMALL = {
    "text": ["--hidden", 6, "--batch-size", 4, "--length", 8, "--steps", 3],
    "classify": ["--label", "label", "--hidden", 4, "--epochs", 2, "--test", "test.csv"],
    "forecast": ["--column", "y", "--hidden", 4, "--epochs", 2, "--horizon", 2, "--season", 0, "--window", 8],
}
TASKS = list(SMALL)


@pytest.fixture
def train(run, tmp_path):
    """``train(task, *arguments)`` on small data, which lies in the folder."""
    words = (f"{a} and {b} are {a}{b}.\n" for a, b in itertools.product("abcdefgh", repeat=2))
    (tmp_path / "text.txt").write_text("".join(words))
    lines = ["a,b,c,label", *(f"{k % 3},{k % 2},{k % 5},{'xy'[k % 2]}" for k in range(40))]
    (tmp_path / "classify.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "test.csv").write_text("\n".join(lines[:20]) + "\n")
    values = np.sin(np.arange(60.0))
    (tmp_path / "forecast.txt").write_text("\n".join(["y", *(f"{v:.6f}" for v in values)]) + "\n")

    def call(task, *arguments):
        return run("train", task, f"{task}.txt", *SMALL[task], "--quiet", *arguments)

    return call


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--save", "X", "--checkpoint", "X"], "the checkpoint X: is the same file as --save X: choose another path"),
        (["--save", "X", "--checkpoint", "./X"], "is the same file as --save X"),
        (["--checkpoint", "DATA"], "the checkpoint DATA: is the same file as"),
        (["--save", "./DATA"], "--save ./DATA: is the same file as"),
        (["--save", "link"], "--save link: is the same file as"),
        (["--save", "m.png", "--plot", "m.png"], "--plot m.png: is the same file as --save m.png"),
    ],
)
def test_the_same_file_twice(train, tmp_path, task, arguments, message):
    if "--plot" in arguments:
        pytest.importorskip("matplotlib")
    (tmp_path / "link").symlink_to(tmp_path / f"{task}.txt")
    before = files(tmp_path)
    done = train(task, *(each.replace("DATA", f"{task}.txt") for each in arguments))
    assert done.status == 2 and message.replace("DATA", f"{task}.txt") in done.err
    assert files(tmp_path) == before


def test_the_test_data(train, tmp_path):
    before = files(tmp_path)
    done = train("classify", "--save", "test.csv")
    assert done.status == 2 and "--save test.csv: is the same file as --test test.csv" in done.err
    assert files(tmp_path) == before


@pytest.mark.parametrize("task", TASKS)
def test_a_foreign_file_at_the_checkpoint(train, tmp_path, task):
    """For a text also at the default name."""
    (tmp_path / "m.checkpoint").write_text("years of work")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    before = files(tmp_path)
    for more in [["--checkpoint", "m.checkpoint"], [] if task == "text" else ["--checkpoint", "other.csv"]]:
        done = train(task, "--save", "m", *more)
        assert done.status == 2 and "would replace a file that is not a checkpoint" in done.err
    assert files(tmp_path) == before


@pytest.mark.parametrize("task", TASKS)
def test_the_checkpoint_of_another_run(train, tmp_path, task):
    assert train(task, "--save", "m", "--checkpoint", "m.checkpoint", "--keep-checkpoint").status == 0
    before = files(tmp_path)
    done = train(task, "--save", "n", "--checkpoint", "m.checkpoint", "--hidden", 5)
    assert done.status == 2 and "belongs to another run" in done.err and "--resume" in done.err
    assert files(tmp_path) == before
    assert train(task, "--save", "n", "--checkpoint", "other", "--hidden", 5).status == 0
    assert {**before, "n": b""}.keys() == files(tmp_path).keys()
    assert files(tmp_path)["m.checkpoint"] == before["m.checkpoint"]


@pytest.mark.parametrize("task", TASKS)
def test_an_older_model_is_replaced_and_a_resumed_run_ends(train, tmp_path, task):
    keep = ["--save", "m", "--checkpoint", "c", "--keep-checkpoint"]
    assert train(task, *keep).status == 0 and train(task, *keep).status == 0
    more = ["--steps", 5] if task == "text" else []
    assert train(task, "--save", "m", "--resume", "c", *more).status == 0
    assert load(tmp_path / "m") and not (tmp_path / "c").exists()


def test_an_exception_keeps_the_training(train, tmp_path, monkeypatch):
    from pylstm.text.trainer import TextTrainer

    own = TextTrainer._tell

    def tell(trainer, follower):
        own(trainer, follower)
        if trainer.step == 2:
            raise MemoryError("no room")

    monkeypatch.setattr(TextTrainer, "_tell", tell)
    done = train("text", "--save", "m")
    assert done.status == 2
    assert done.err == (
        "pylstm: error: no room; the training so far, 2 steps, is in the checkpoint m.checkpoint: resume it\n"
    )
    assert len(read_checkpoint(tmp_path / "m.checkpoint", "text")["history"]["steps"]) == 2
    monkeypatch.undo()
    assert not (tmp_path / "m").exists()
