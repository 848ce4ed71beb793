"""Saving: round trips, files that are damaged or do not fit, whole files only."""

import copy
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from pylstm import files
from pylstm.cells import Cell, tanh
from pylstm.datasets import Vocabulary
from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import GRU, LSTM, RNN, Recurrent
from pylstm.layers.stack import Stack
from pylstm.models.sequence_model import SequenceModel
from pylstm.parameters import Parameters
from pylstm.saving import load, save
from pylstm.text.char_model import CharModel
from pylstm.training.checkpoint import read_checkpoint, write_checkpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def rewrite(path, change_header=lambda header: None, change_tensors=lambda tensors: None):
    """Write a file again as `save` would, with other contents and a right digest."""
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["pylstm"])
    del header["sha256"], header["header_sha256"]
    change_header(header)
    change_tensors(tensors)
    header["header_sha256"] = files._digest(header, {})
    header["sha256"] = files._digest(header, tensors)
    safetensors.numpy.save_file(tensors, path, metadata={"pylstm": json.dumps(header)})


LAYERS = {
    "linear": lambda: Linear(3, 5, dtype="float64", seed=1),
    "linear without bias": lambda: Linear(3, 5, bias=False, seed=1),
    "embedding": lambda: Embedding(7, 3, seed=1),
    "lstm": lambda: LSTM(3, 4, dtype="float64", seed=1),
    "lstm without bias": lambda: LSTM(3, 4, bias=False, batch_first=True, seed=1),
    "lstm with a learned state": lambda: LSTM(3, 4, learn_initial="c", seed=1),
    "lstm with a projection": lambda: LSTM(3, 4, proj_size=2, seed=1),
    "gru": lambda: GRU(3, 4, learn_initial=True, seed=1),
    "gru as published": lambda: GRU(3, 4, reset_after=False, bias=False, seed=1),
    **{f"rnn {name}": lambda name=name: RNN(3, 4, nonlinearity=name, seed=1) for name in ("tanh", "relu", "linear")},
    "cornn": lambda: Recurrent("cornn", 3, 4, dt=0.01, seed=1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_round_trip(path, name):
    layer = LAYERS[name]()
    save(path, layer)
    loaded = load(path)
    assert type(loaded) is type(layer) and repr(loaded) == repr(layer)
    assert loaded.params.same_layout(layer.params)
    np.testing.assert_array_equal(loaded.params.flat, layer.params.flat)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith(("lstm", "gru", "rnn", "cornn"))])
def test_layers_of_stacks_and_models_round_trip(path, name):
    """Each part comes back as what it was."""
    make = LAYERS[name]
    for whole in (Stack([make()]), Bidirectional(make(), make()), Stack([Bidirectional(make(), make())])):
        save(path, whole)
        loaded = load(path)
        assert repr(loaded) == repr(whole)
        assert [type(each) for each in loaded.recurrents] == [type(make())] * len(whole.recurrents)
    model = SequenceModel("gru", 3, 4, 1, num_layers=2)
    save(path, model)
    assert [type(each) for each in load(path).layer.recurrents] == [GRU, GRU]


def test_a_recurrent_is_of_the_class_of_its_cell_and_comes_back_as_such(path):
    for cell, kind in (("lstm", LSTM), ("gru_reset_before", GRU), ("rnn_relu", RNN), ("peephole", Recurrent)):
        layer = Recurrent(cell, 3, 4, batch_first=True, seed=1)
        save(path, layer)
        loaded = load(path)
        assert type(loaded) is type(layer) is kind and loaded.cell is layer.cell and loaded.batch_first
        assert repr(loaded) == repr(layer) == repr(copy.deepcopy(layer)) == repr(pickle.loads(pickle.dumps(layer)))
        np.testing.assert_array_equal(loaded.params.flat, layer.params.flat)


def test_another_cell_of_the_name_is_no_lstm(path):
    ours = type(Cell)("Ours", (Cell,), {"name": "gru", "states": ("h",), "gates": {"a": "x+h"}, "forward": leak})
    save(path, Recurrent(ours, 3, 4, seed=1))
    loaded = load(path, cell=ours)
    assert type(loaded) is Recurrent and loaded.cell is ours


def leak(z, prev):
    return {"h": 0.5 * prev.h + 0.5 * tanh(z.a)}


def test_recurrent_settings_round_trip(path):
    save(path, Recurrent("lstm", 3, 4, bias=False, batch_first=True, seed=1))
    loaded = load(path)
    assert loaded.batch_first and not loaded.bias and loaded.cell.name == "lstm"


def test_the_header_says_what_is_in_the_file(path):
    save(path, {"net": Recurrent("lstm", 3, 4)})
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["pylstm"])
        assert set(file.keys()) == {"net.weight_x", "net.weight_h", "net.bias"}
    net = header["parts"]["net"]
    assert header["format"] == 1 and header["version"] and net["dtype"] == "float32"
    assert net["cell"] == "lstm" and net["arguments"]["hidden_size"] == 4
    assert net["package"].startswith("pylstm")
    assert net["blocks"]["gates"] == ["i=x+h", "f=x+h", "g=x+h", "o=x+h"] and net["blocks"]["states"] == ["h", "c"]


def test_dict_and_char_model_round_trip(path):
    model = CharModel(Vocabulary("ab é😀"), hidden_size=5, embedding_size=3, seed=2)
    save(path, model)
    loaded = load(path)
    assert loaded.vocabulary.characters == model.vocabulary.characters
    for ours, theirs in zip(model.params, loaded.params):
        np.testing.assert_array_equal(ours.flat, theirs.flat)
    assert loaded.generate(40, prompt="ab", seed=3) == model.generate(40, prompt="ab", seed=3)
    save(path, dict(model.parts))
    loaded = load(path)
    assert list(loaded) == ["embedding", "layer", "head"]
    np.testing.assert_array_equal(loaded["head"].params.flat, model.head.params.flat)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_file_cut_short(path, share):
    save(path, Linear(30, 50))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"model\.safetensors: not a safetensors file, or cut short or damaged"):
        load(path)


def test_every_damaged_byte_is_noticed(path):
    save(path, Linear(3, 2, seed=0))
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(ValueError, match=r"damaged|format|not one that pylstm"):
            load(path)


def test_a_damaged_header_says_so(path):
    """Not what the damaged entry would say."""
    save(path, Recurrent("lstm", 3, 4))
    path.write_bytes(path.read_bytes().replace(b'hidden_size\\": 4', b'hidden_size\\": 5', 1))
    with pytest.raises(ValueError, match="the header is damaged: it is not the one that was saved"):
        load(path)


def test_shapes_are_part_of_the_digest(path):
    """Of a checkpoint, whose arrays may have any shape."""
    write_checkpoint(path, "fit", {"h": np.arange(6.0).reshape(2, 3)})
    data = path.read_bytes()
    assert data.count(b'"shape":[2,3]') == 1
    path.write_bytes(data.replace(b'"shape":[2,3]', b'"shape":[3,2]'))
    with pytest.raises(ValueError, match="damaged: the data are not those that were saved"):
        read_checkpoint(path, "fit")


def test_files_of_others(path):
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"not one that pylstm\.save wrote"):
        load(path)
    path.write_text("hello")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(path.parent / "none")


def test_a_later_format(path):
    save(path, Linear(3, 2))
    rewrite(path, lambda header: header.update(format=2, version="9.0"))
    with pytest.raises(ValueError, match=r"format 2, written by pylstm 9\.0; this version reads format 1"):
        load(path)


def test_an_unknown_cell_names_its_package(path):
    save(path, Recurrent("lstm", 3, 4))
    rewrite(path, lambda header: header["parts"][""].update(cell="warpcell", package="pylstm_warp"))
    with pytest.raises(LookupError, match=r"needs the cell 'warpcell' of package 'pylstm_warp'.*not registered"):
        load(path)


def test_a_cell_whose_gates_have_another_order(path):
    save(path, Recurrent("lstm", 3, 4))
    rewrite(path, lambda header: header["parts"][""]["blocks"]["gates"].reverse())
    with pytest.raises(ValueError, match=r"'lstm' has changed since: gates were o=x\+h, g=x\+h, .*, now i=x\+h"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("bias"), r"missing tensors \['bias'\]"),
        (lambda tensors: tensors.update(more=np.zeros(2, "f4")), r"unexpected tensors \['more'\]"),
        (
            lambda tensors: tensors.update(bias=np.zeros(3, "f4")),
            r"'bias' must be .* \(2,\) by the header, got float32 \(3,\)",
        ),
        (
            lambda tensors: tensors.update(weight=np.zeros((3, 2), "f4")),
            r"'weight' must be .* \(2, 3\) by the header, got float32 \(3, 2\)",
        ),
        (lambda tensors: tensors.update(bias=np.zeros(2)), "'bias' must be float32 of shape .* got float64"),
    ],
)
def test_tensors_that_do_not_fit(path, change, message):
    save(path, Linear(3, 2))
    rewrite(path, change_tensors=change)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_an_unknown_kind(path):
    save(path, Linear(3, 2))
    rewrite(path, lambda header: header["parts"][""].update(layer="convolution"))
    with pytest.raises(ValueError, match=r"parts\..*layer must be one of .*, got .convolution."):
        load(path)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (Parameters({"a": (2,)}), TypeError, "must be a layer .*, got ndarray"),
        ({}, TypeError, "got an empty dict"),
        ({"a": 3}, TypeError, "'a' must be a layer .*, got int"),
        ({"a.b": Linear(1, 1)}, ValueError, "without dots, got 'a.b'"),
        ({"": Linear(1, 1)}, ValueError, "without dots, got ''"),
    ],
)
def test_save_refuses(path, model, error, message):
    with pytest.raises(error, match=message):
        save(path, model)
    assert not path.exists()


def test_the_old_file_stays_when_writing_fails(path, monkeypatch):
    save(path, Linear(3, 2, seed=0))
    before = path.read_bytes()

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        save(path, Linear(3, 2, seed=1))
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


STOPPED = """
import os, sys
from pylstm import saving
from pylstm.feedforward.linear import Linear
sync = os.fsync
def stop(file):
    print("written", flush=True)
    sys.stdin.read()  # until the test lets it go, or kills it
    sync(file)
os.fsync = stop
saving.save(sys.argv[1], Linear(3, 2, seed=7))
"""


@pytest.fixture
def stopped_writer(path):
    """Starts a process that stands still between writing its temporary file and renaming it."""
    started = []

    def start():
        command = [sys.executable, "-P", "-c", STOPPED, str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "written\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_next_write_removes_what_a_killed_writer_left(path, stopped_writer):
    for _ in range(2):
        writer = stopped_writer()
        writer.kill()
        writer.wait()
    kept = {f"{path.name}.{end}" for end in ("bak", "01234567.tmp.bak", "notes.tmp", "XYZ34567.tmp")}
    for name in kept:
        (path.parent / name).touch()
    left = {entry.name for entry in path.parent.iterdir()} - kept
    assert len(left) == 1  # the second writer has removed the file of the first
    save(path, Linear(3, 2, seed=1))
    assert {entry.name for entry in path.parent.iterdir()} == {path.name} | kept


def test_brackets_in_a_name_are_no_pattern(tmp_path):
    left, others = tmp_path / "net[1].01234567.tmp", tmp_path / "net1.01234567.tmp"
    left.touch()
    others.touch()
    save(tmp_path / "net[1]", Linear(3, 2))
    assert {entry.name for entry in tmp_path.iterdir()} == {"net[1]", others.name}


def test_the_file_of_a_living_writer_is_left_alone(path, stopped_writer):
    writer = stopped_writer()
    save(path, Linear(3, 2, seed=1))
    assert len(list(path.parent.iterdir())) == 2
    writer.communicate("")
    assert writer.returncode == 0
    assert load(path).params.flat.tobytes() == Linear(3, 2, seed=7).params.flat.tobytes()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_temporary_file_that_is_removed_before_it_is_locked_is_made_anew(path, monkeypatch):
    import fcntl

    lock, taken = fcntl.flock, []

    def late(file, how):
        if not taken:
            os.unlink(file.name)  # another writer has found it without a lock
        taken.append(how)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    save(path, Linear(3, 2, seed=1))
    assert taken == [fcntl.LOCK_EX] * 2
    assert load(path).in_features == 3


def test_what_is_no_regular_file_is_not_replaced(path):
    path.mkdir()
    with pytest.raises(ValueError, match="not a regular file"):
        save(path, Linear(3, 2))


def test_a_link_stays_a_link(path):
    target = path.parent / "target"
    target.write_bytes(b"")
    path.symlink_to(target)
    save(path, Linear(3, 2))
    assert path.is_symlink() and load(target).in_features == 3


def test_parameters_that_are_not_contiguous_views_are_saved_right(path):
    layer = Linear(3, 2, dtype="float64")
    layer.params["weight"] = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    save(path, layer)
    np.testing.assert_array_equal(load(path).params["weight"], [[0, 1, 2], [3, 4, 5]])
