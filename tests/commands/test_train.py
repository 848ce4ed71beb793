"""`pylstm train text` as a user runs it."""

import itertools
import re
import signal
import subprocess
import sys
import time

import pytest

from pylstm.saving import load
from pylstm.training.checkpoint import read_checkpoint

COMMAND = [sys.executable, "-P", "-c", "from pylstm.cli import main; raise SystemExit(main())", "train", "text"]
SMALL = ["--hidden", "12", "--batch-size", "4", "--length", "16"]
KEEP = "--keep-checkpoint"


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("".join(f"{a} and {b} are {a}{b}.\n" for a, b in itertools.product("abcdefghijkl", repeat=2)))
    return path


def call(tmp_path, *arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, timeout=120)


def test_a_file_is_trained_on_and_the_model_saved(tmp_path, book):
    done = call(tmp_path, book, *SMALL, "--steps", 40, "--save", "m.safetensors", "--sample", 60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "book.txt" in done.stdout and "100%  step 40" in done.stdout and "done   40 steps" in done.stdout
    assert re.search(r"bits per character: train \d\.\d+, validation \d\.\d+, bigram model \d\.\d+", done.stdout)
    sample = done.stdout.split("sample at temperature 0.6, after ")[1].split("':\n", 1)[1]
    sample = sample.rsplit("\nsaved  m.safetensors", 1)[0]
    assert len(sample) == 60
    model, text = load(tmp_path / "m.safetensors"), book.read_text()
    tail = text[-round(len(text) * 0.05) :]
    assert model.layer.hidden_size == 12 and model.generate(60, prompt=tail[:200], temperature=0.6) == sample


def test_the_same_seed_gives_the_same_numbers(tmp_path, book):
    def numbers(seed):
        out = call(tmp_path, book, *SMALL, "--epochs", 0.5, "--seed", seed).stdout
        out = out.split("sample at")[0]  # the sample has the same seed
        return re.sub(r"\d+(\.\d+)? s\b|[\d,]+ characters per second", "", out)

    assert numbers(7) == numbers(7) != numbers(8)


def test_quiet(tmp_path, book):
    done = call(tmp_path, book, *SMALL, "--steps", 2, "--quiet", "--dtype", "float64")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3
    assert load(tmp_path / "pylstm-text.safetensors").layer.dtype == "float64"


def test_ctrl_c_leaves_a_usable_model(tmp_path, book):
    process = subprocess.Popen(
        [*COMMAND, str(book), *SMALL, "--minutes", "2", "--save", "m.safetensors"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline().startswith("text ") and process.stdout.readline().startswith("model ")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "") and "interrupted after" in out
    assert len(load(tmp_path / "m.safetensors").generate(10)) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.txt"], "none.txt: does not exist"),
        (["."], ".: is a folder, not a file"),
        (["book.txt", "--cell", "lstn"], "lstn"),
        (["book.txt", "--save", "no/where"], "does not exist"),
        (["book.txt", "--hidden", "0"], "argument --hidden: must be at least 1, got 0"),
        (["book.txt", "--batch-size", "100000"], "lower the batch size"),
        (["book.txt", "--minutes", "-1"], "argument --minutes: must be above 0 and finite, got -1"),
        (["book.txt", "--minutes", "1", "--epochs", "1"], "not allowed with"),
        (["book.txt", "--temperature", "-1"], "--temperature"),
        (["book.txt", "--dtype", "float16"], "float16"),
        (["empty.txt"], "too short"),
        (["bytes.txt"], "not UTF-8"),
    ],
)
def test_wrong_arguments(tmp_path, book, arguments, message):
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "bytes.txt").write_bytes(b"\xff" * 2000)
    done = call(tmp_path, *arguments, "--steps", 1) if "--minutes" not in arguments else call(tmp_path, *arguments)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "pylstm-text.safetensors").exists()


def ended(folder):
    """Trace and parameters of the checkpoint in `folder`, and the bytes of the model."""
    state = read_checkpoint(folder / "m.checkpoint", "text")
    return state, (folder / "m").read_bytes()


def start(tmp_path, *arguments):
    command = [*COMMAND, *map(str, arguments), "--checkpoint-every", "0.1", "--save", "m", "--quiet"]
    return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_checkpoint(process, path, steps=30):
    limit = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < limit:
        if path.exists() and len(read_checkpoint(path, "text")["history"]["steps"]) >= steps:
            return
        time.sleep(0.02)
    raise AssertionError(f"no checkpoint: {process.poll()}")


def test_killed_training_resumes_with_the_same_bits(tmp_path, book):
    process = start(tmp_path, book, *SMALL, "--minutes", 2)
    wait_for_checkpoint(process, tmp_path / "m.checkpoint")
    process.kill()
    process.communicate()
    assert not (tmp_path / "m").exists()
    killed = len(read_checkpoint(tmp_path / "m.checkpoint", "text")["history"]["steps"])
    steps = killed + 41  # into the next epoch: one is less
    done = call(tmp_path, book, *SMALL, "--steps", steps, "--save", "m", "--resume", "m.checkpoint", KEEP)
    assert (done.returncode, done.stderr) == (0, "") and f"resume after {killed} steps" in done.stdout
    (tmp_path / "whole").mkdir()
    assert call(tmp_path / "whole", book, *SMALL, "--steps", steps, "--save", "m", KEEP).returncode == 0
    (resumed, model), (whole, whole_model) = ended(tmp_path), ended(tmp_path / "whole")
    assert model == whole_model and len(whole["history"]["steps"]) == steps
    for state in (resumed, whole):
        del state["seconds"]
    assert flatten(resumed) == flatten(whole)


@pytest.mark.parametrize("more", [[], ["--checkpoint", "m.checkpoint"]])
def test_a_finished_run_leaves_nothing_but_the_model(tmp_path, book, more):
    assert call(tmp_path, book, *SMALL, "--steps", 2, "--save", "m", *more).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"book.txt", "m"}
    assert call(tmp_path, book, *SMALL, "--steps", 2, "--save", "m", *more, KEEP).returncode == 0
    assert call(tmp_path, book, *SMALL, "--steps", 4, "--save", "m", "--resume", "m.checkpoint").returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"book.txt", "m"}


def flatten(tree):
    if isinstance(tree, dict):
        return {key: flatten(value) for key, value in tree.items()}
    return (tree.dtype, tree.tolist()) if hasattr(tree, "tolist") else tree


def test_sigterm_leaves_a_model_and_a_checkpoint(tmp_path, book):
    process = start(tmp_path, book, *SMALL, "--minutes", 2)
    wait_for_checkpoint(process, tmp_path / "m.checkpoint")
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (143, "")
    assert len(load(tmp_path / "m").generate(10)) == 10
    assert len(read_checkpoint(tmp_path / "m.checkpoint", "text")["history"]["steps"]) >= 30


def test_a_second_ctrl_c_does_not_lose_the_checkpoint(tmp_path, book):
    process = start(tmp_path, book, *SMALL, "--minutes", 2, "--batch-size", 16)
    wait_for_checkpoint(process, tmp_path / "m.checkpoint")
    before = len(read_checkpoint(tmp_path / "m.checkpoint", "text")["history"]["steps"])
    process.send_signal(signal.SIGINT)
    time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert len(read_checkpoint(tmp_path / "m.checkpoint", "text")["history"]["steps"]) >= before
    assert not list(tmp_path.glob("*.tmp"))


def test_a_checkpoint_of_something_else_is_refused(tmp_path, book):
    assert call(tmp_path, book, *SMALL, "--steps", 2, "--save", "m", "--quiet", KEEP).returncode == 0
    other = tmp_path / "other.txt"
    other.write_text(book.read_text().replace("and", "or"))
    cut = tmp_path / "cut"
    cut.write_bytes((tmp_path / "m.checkpoint").read_bytes()[:-9])
    for file, checkpoint, more, message in [
        (book, "m.checkpoint", ["--hidden", 13], "hidden_size was 12, now 13"),
        (book, "m.checkpoint", ["--cell", "gru", "--lr", 1], "lr was 0.006, now 1.0"),
        (other, "m.checkpoint", [], "characters was"),
        (book, "m", [], "must hold a checkpoint of text, got a char_model"),
        (book, "none", [], "none"),
        (book, "cut", [], "cut short or damaged"),
    ]:
        done = call(tmp_path, file, *SMALL, *more, "--steps", 3, "--resume", checkpoint, "--save", "n")
        assert done.returncode == 2 and "Traceback" not in done.stderr and not (tmp_path / "n").exists()
        assert message in done.stderr
    with pytest.raises(ValueError, match=r"a checkpoint of text, not a model"):
        load(tmp_path / "m.checkpoint")
