"""One file: read as a whole while others write it, only where it is a regular file, with the rights that it had."""

import os
import signal
import stat

import numpy as np
import pytest

from pylstm.feedforward.linear import Linear
from pylstm.files import read_file, write_file
from pylstm.saving import load, read_about, save
from pylstm.training.checkpoint import read_checkpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("end", ["replaced", "removed"])
def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was(path, end):
    tensors = {"a": np.arange(3.0), "b": np.ones((2, 2), "f4")}
    write_file(path, {"kind": "first"}, tensors)

    def replace(header, shapes):
        if end == "removed":
            path.unlink()
        else:
            write_file(path, {"kind": "second"}, {name: 2 + array for name, array in tensors.items()})

    header, found = read_file(path, replace)
    assert header["kind"] == "first"
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.fixture
def soon():
    """What takes longer than 20 s, such as a read of a pipe that nobody writes to, ends in an error."""

    def end(number, frame):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("read", [load, read_about, lambda path: read_checkpoint(path, "fit")])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_not_a_regular_file_is_not_read(path, soon, kind, read):
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(os.devnull)
    with pytest.raises(ValueError, match=rf"^{path}: exists but is not a regular file$"):
        read(path)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_keeps_its_mode_when_it_is_written_again(path, mode):
    save(path, Linear(3, 2))
    path.chmod(mode)
    save(path, Linear(3, 4))
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert load(path).out_features == 4


def test_a_private_file_is_private_before_anything_is_written(path, monkeypatch):
    save(path, Linear(3, 2))
    path.chmod(0o600)
    modes, fchmod = [], os.fchmod

    def spy(number, mode):
        modes.append((os.fstat(number).st_size, mode))
        fchmod(number, mode)

    monkeypatch.setattr(os, "fchmod", spy)
    save(path, Linear(3, 4))
    assert modes == [(0, 0o600)]


@pytest.mark.parametrize("format", ["x" * 10_000, list(range(10_000)), None, True, 10**300, {"a": "b" * 10_000}])
def test_the_message_about_a_format_is_short(path, format):
    write_file(path, {"format": format}, {"a": np.ones(2)})
    with pytest.raises(ValueError, match=r"format .* this version reads format 1") as caught:
        read_file(path)
    assert len(str(caught.value)) < 300 + len(str(path))
