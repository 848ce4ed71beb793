"""Models of a user's own in files: what comes back is what was saved, or `save` says what cannot be kept."""

import math

import numpy as np
import pytest

import pylstm
from pylstm import files
from pylstm.models.classify_model import ClassifyModel
from pylstm.saving import read_about
from pylstm.training.history import History


class Net:
    def __init__(self, parts, metadata):
        self.parts, self.metadata = parts, metadata

    @classmethod
    def from_parts(cls, parts, metadata):
        return cls(parts, metadata)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.st"


def circular():
    one = {}
    one["again"] = one
    return one


LOST = {
    "a number as a name": ({"vocab": {1: "a"}}, r"vocab .*texts as keys, got 1: .*pairs"),
    "names that JSON makes one": ({"names": {1: "a", "1": "b"}}, r"names .*texts as keys, got 1: .*pairs"),
    "a number at the top": ({2: 3}, "texts as keys, got 2"),
    "None as a name": ({"a": {None: 1}}, "a .*texts as keys, got None"),
    "a set": ({"a": {1}}, r"a .*got set: .*sorted"),
    "a frozen set in a list": ({"a": [1, [frozenset()]]}, r"a\[1\]\[0\] .*got frozenset: .*sorted"),
    "an array": ({"a": {"b": np.ones(2)}}, r"a\.b .*got ndarray: .*tolist"),
    "a number of numpy": ({"a": np.float32(1)}, r"a .*got float32: .*item"),
    "bytes": ({"a": b"x"}, "a .*got bytes"),
    "nan": ({"loss": math.nan}, "loss .*finite.* got nan: .*None"),
    "infinity": ({"a": (1.0, -math.inf)}, r"a\[1\] .*finite.* got -inf"),
    "itself": (circular(), "too deep"),
}


@pytest.mark.parametrize("name", LOST)
def test_what_a_file_cannot_hold_is_refused_by_its_place(path, name):
    value, words = LOST[name]
    with pytest.raises(TypeError, match=rf"save: Net\.metadata.*{words}"):
        pylstm.save(path, Net({"body": pylstm.GRU(3, 4)}, value))
    with pytest.raises(TypeError, match=rf"save: about.*{words}"):
        pylstm.save(path, pylstm.GRU(3, 4), about=value)
    assert not path.exists()


def test_models_of_a_kind_are_checked_alike(path):
    model = pylstm.SequenceModel("gru", 3, 4, 1, loss="huber", loss_options={"delta": np.float32(2)})
    with pytest.raises(TypeError, match=r"SequenceModel\.metadata\.loss_options\.delta must be .*got float32: \.item"):
        pylstm.save(path, model)


@pytest.mark.parametrize("about", [[1], "text", 3, [("a", 1)]])
def test_about_is_a_dict(path, about):
    with pytest.raises(TypeError, match=f"save: about must be a dict, got {type(about).__name__}"):
        pylstm.save(path, pylstm.GRU(3, 4), about=about)
    assert not path.exists()


def test_what_json_holds_comes_back(path):
    value = {"a": {"b": [1, 2.5, None, True, "x", {}]}, "": -0.0, "big": 10**40}
    pylstm.save(path, Net({"body": pylstm.GRU(3, 4)}, value), about=value | {"tuple": (1, (2,))})
    assert pylstm.load(path, model=Net).metadata == value
    assert read_about(path) == value | {"tuple": [1, [2]]}


def tied():
    layer, head = pylstm.GRU(3, 3, seed=0), pylstm.Linear(3, 3, seed=1)
    return {
        "recurrent": ({"a": layer, "head": head, "b": layer}, "'a' and 'b'"),
        "linear": ({"head": head, "other": head}, "'head' and 'other'"),
        "also in a stack": ({"body": layer, "up": pylstm.Stack([pylstm.GRU(3, 3), layer])}, "'body' and 'up'"),
    }


@pytest.mark.parametrize("name", tied())
def test_ties_are_not_lost_silently(path, name):
    parts, names = tied()[name]
    for model in (parts, Net(parts, {})):
        with pytest.raises(ValueError, match=f"save: {names} share a layer, .*from_parts"):
            pylstm.save(path, model)
    assert not path.exists()


def test_equal_layers_are_no_tie(path):
    pylstm.save(path, {"a": pylstm.GRU(3, 4, seed=0), "b": pylstm.GRU(3, 4, seed=0)})
    assert list(pylstm.load(path)) == ["a", "b"]


@pytest.mark.parametrize("model", [Net({}, {}), "Net", lambda parts, metadata: None])
@pytest.mark.parametrize("saved", [Net, dict])
def test_load_takes_the_class(path, model, saved):
    parts = {"body": pylstm.GRU(3, 4)}
    pylstm.save(path, Net(parts, {}) if saved is Net else parts)
    with pytest.raises(TypeError, match=r"model= takes a class with from_parts, got .+") as caught:
        pylstm.load(path, model=model)
    assert str(path) not in str(caught.value)
    if isinstance(model, Net):
        assert str(caught.value).endswith("an object of it: pass Net itself")


@pytest.mark.parametrize("value", [3, True, [], {"a": 1}, None])
@pytest.mark.parametrize("model", [pylstm.Linear(3, 2), {"head": pylstm.Linear(3, 2)}], ids=["layer", "dict"])
def test_layers_have_no_metadata(path, model, value):
    pylstm.save(path, model)
    header, tensors = files.read_file(path)
    files.write_file(path, header | {"metadata": value}, tensors)
    with pytest.raises(ValueError, match=r"net\.st: metadata(\.a)? (must be an object|is unknown)"):
        pylstm.load(path)


@pytest.mark.parametrize("name", ["steps", "norms", "loss", "validation_loss", "lr", "best_epoch", "stopped"])
def test_a_history_is_whole(name):
    state = History().state_dict()
    assert History.from_state(state, 0, 0) == History()
    del state[name]
    with pytest.raises(ValueError, match=rf"history\.{name} is missing"):
        History.from_state(state, 0, 0)


def test_the_model_around_a_net_reads_as_the_net(path):
    net = pylstm.SequenceModel("gru", 2, 3, 2, read="mean", loss="softmax_cross_entropy", seed=0)
    model = ClassifyModel.around(net, ["a", "b"], np.array([[0.0, 0.5], [1.0, 2.0]]))
    pylstm.save(path, model)
    assert pylstm.load(path).net.read == "mean" == model.metadata["options"]["read"]
