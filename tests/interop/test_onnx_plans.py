"""`ImportedModel` has a plan for inputs of given shapes: other values, shapes and branches, threads, Silero."""

import copy
import importlib.util
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm.engine import dense
from pylstm.interop import onnx as ours

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
helper = onnx.helper


def numbers(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def model_of(folder, nodes, inputs, outputs, constants=None):
    """A model and the session of onnxruntime; `inputs` are name -> (type, axes)."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, axes) for name, (kind, axes) in inputs.items()],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path = str(folder / "net.onnx")
    onnx.save(proto, path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ours.import_model(path), runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def agree(model, session, given):
    wanted = session.run(None, given)
    for found, each in zip(model(given).values(), wanted, strict=True):
        assert found.shape == each.shape
        np.testing.assert_allclose(found, each, rtol=1e-5, atol=1e-5)


FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
CONSTANTS = {"zero": np.int64(0), "ones": np.ones(1, "int64"), "axis": np.zeros(1, "int64")}


@pytest.mark.parametrize(
    "nodes",
    [
        [("Reshape", ["x", "n"], ["r"]), ("Shape", ["r"], ["s"]), ("Cast", ["s"], ["y"], {"to": FLOAT})],
        [("Slice", ["x", "zeros", "n"], ["r"]), ("Shape", ["r"], ["s"]), ("Cast", ["s"], ["y"], {"to": FLOAT})],
        [("ConstantOfShape", ["n"], ["r"]), ("Shape", ["r"], ["s"]), ("Cast", ["s"], ["y"], {"to": FLOAT})],
        [("Expand", ["e", "n"], ["r"]), ("Add", ["r", "r"], ["y"])],
        [("Slice", ["x", "zeros", "n"], ["r"]), ("Relu", ["r"], ["q"]), ("ReduceSum", ["q", "axis"], ["y"])],
        [("Slice", ["x", "zeros", "n"], ["r"]), ("MatMul", ["r", "W"], ["y"])],
    ],
    ids=lambda nodes: "-".join(node[0] for node in nodes),
)
def test_shapes_that_values_determine(nodes, tmp_path):
    """Of one shape of inputs: what a plan takes as fixed must not depend on the values."""
    made = [helper.make_node(op, i, o, **(more[0] if more else {})) for op, i, o, *more in nodes]
    constants = CONSTANTS | {"zeros": np.zeros(2, "int64"), "W": numbers(4, 6, 3), "e": numbers(3, 1, 1)}
    given = {"x": (FLOAT, [4, 6]), "n": (INT64, [2])}
    model, session = model_of(tmp_path, made, given, ["y"], constants)
    wide = nodes[-1][0] == "MatMul"
    for k, n in enumerate([(4, 6), (2, 6), (3, 6)] if wide else [(4, 6), (6, 4), (3, 8), (2, 12)]):
        agree(model, session, {"x": numbers(k, 4, 6), "n": np.array(n)})


def branch(op, name):
    out = helper.make_tensor_value_info(name, FLOAT, None)
    return helper.make_graph([helper.make_node(op, ["h"], [name])], name, [], [out])


@pytest.mark.parametrize("by", ["flag", "sum"])
def test_branches(by, tmp_path):
    """A number that comes alone chooses once for each of its values; what is computed chooses in every call."""
    branches = {"then_branch": branch("Exp", "p"), "else_branch": branch("Neg", "q")}
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["h"]),
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Cast", ["flag"], ["own"], to=FLOAT),
        helper.make_node("Greater", ["own" if by == "flag" else "total", "limit"], ["yes"]),
        helper.make_node("If", ["yes"], ["r"], **branches),
        helper.make_node("Add", ["r", "own"], ["y"]),
    ]
    kinds = {"x": (FLOAT, [None, 3]), "flag": (INT64, [])}
    model, session = model_of(tmp_path, nodes, kinds, ["y"], {"limit": np.float32(0.5)})
    for k in range(12):
        agree(model, session, {"x": numbers(k, 2 + k % 2, 3) + (-1) ** k, "flag": np.array(k // 3)})


def test_branches_name_values_as_others_do(tmp_path):
    """A value of one branch is a constant of the next, and a constant of a branch hides that of the graph."""
    kind, two = helper.make_tensor_value_info, onnx.numpy_helper.from_array(np.float32(2), "t")
    nodes = [helper.make_node("Exp", ["x"], ["t"]), helper.make_node("Neg", ["t"], ["p"])]
    first = helper.make_graph(nodes, "p", [], [kind("p", FLOAT, None)])
    then = helper.make_graph([helper.make_node("Mul", ["a", "t"], ["q"])], "q", [], [kind("q", FLOAT, None)], [two])
    node, three = helper.make_node("Add", ["b", "limit"], ["r"]), onnx.numpy_helper.from_array(np.float32(3), "limit")
    last = helper.make_graph([node], "r", [], [kind("r", FLOAT, None)], [three])
    nodes = [
        helper.make_node("If", ["yes"], [out], then_branch=each, else_branch=each)
        for out, each in (("a", first), ("b", then), ("c", last))
    ]
    nodes.append(helper.make_node("Div", ["c", "limit"], ["y"]))
    held = {"yes": np.array(True), "limit": np.float32(0.5)}
    model, session = model_of(tmp_path, nodes, {"x": (FLOAT, [None, 3])}, ["y"], held)
    for k in range(3):
        agree(model, session, {"x": numbers(k, 2, 3)})


def stream_model(folder, **more):
    layer = pylstm.LSTM(3, 5, seed=1)
    path = folder / "lstm.onnx"
    ours.export(layer, path, states=True, **more)
    return layer, ours.import_model(path)


def test_steps_and_sequences(tmp_path):
    layer, model = stream_model(tmp_path)
    x, h, c = numbers(1, 7, 4, 3), numbers(2, 4, 5), numbers(3, 4, 5)
    whole = model({"x": x, "initial.h": h, "initial.c": c})
    assert np.array_equal(whole["y"], layer(x, {"h": h, "c": c}).y)
    for t in range(7):
        made = model({"x": x[t : t + 1], "initial.h": h, "initial.c": c})
        h, c = made["final.h"], made["final.c"]
        assert np.array_equal(made["y"][0], whole["y"][t])
    assert np.array_equal(h, whole["final.h"]) and np.array_equal(c, whole["final.c"])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("given", [(), ("h",), ("c",)], ids=str)
def test_a_step_without_all_states(given, cell, tmp_path):
    """Those that are not given are 0, in every call."""
    layer = pylstm.Recurrent(cell, 3, 5, seed=1)
    (kind, _, _), found = ours.CELLS[cell], ours.tensors(layer)
    states = [name if name in given else "" for name in layer.cell.contract.states]
    node = helper.make_node(kind, ["x", "W", "R", "B", "", *states], ["y"], **ours.attributes(layer))
    kinds = {"x": (FLOAT, [1, 2, 3])} | {name: (FLOAT, [1, 2, 5]) for name in states if name}
    model, session = model_of(tmp_path, [node], kinds, ["y"], found)
    for k in range(3):
        agree(model, session, {n: numbers(k, *axes) for n, (_, axes) in kinds.items()})


def test_a_later_call_leaves_results_alone(tmp_path):
    _, model = stream_model(tmp_path)
    states = {"initial.h": numbers(2, 4, 5), "initial.c": numbers(3, 4, 5)}
    made = [model({"x": numbers(k, 1, 4, 3)} | states) for k in range(3)]
    fresh = [stream_model(tmp_path)[1]({"x": numbers(k, 1, 4, 3)} | states) for k in range(3)]
    assert all(np.array_equal(one[n], two[n]) for one, two in zip(made, fresh) for n in one)


def test_threads(tmp_path):
    """They take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    _, model = stream_model(tmp_path)
    given = [
        {"x": numbers(k, 1, 4, 3), "initial.h": numbers(k + 1, 4, 5), "initial.c": numbers(k + 2, 4, 5)}
        for k in range(40)
    ]
    wanted = [model(each)["y"] for each in given]
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(20):
                assert all(map(np.array_equal, (each["y"] for each in pool.map(model, given)), wanted))
    finally:
        sys.setswitchinterval(before)


def test_copies_and_refresh(tmp_path):
    _, model = stream_model(tmp_path)
    given = {"x": numbers(1, 1, 4, 3), "initial.h": numbers(2, 4, 5), "initial.c": numbers(3, 4, 5)}
    before = model(given)["y"]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.layers[0].params *= 0.5
        assert not np.array_equal(other(given)["y"], before) and np.array_equal(model(given)["y"], before)
    model.layers[0].params *= 0.5
    assert np.array_equal(model(given)["y"], before)
    model.refresh()
    assert np.array_equal(model(given)["y"], other(given)["y"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("S", "R"), [(1, 1), (1, 5), (5, 1), (3, 4), (70, 2), (2, 70), (0, 3), (3, 0)])
def test_windows(S, R, dtype):
    """Rows that lie one in another, of sequences with a gap between; the bits of a row alone."""
    weight, bias = numbers(1, 200, 130, dtype=dtype), numbers(2, 200, dtype=dtype)
    memory = numbers(3, S, 7 * R + 130 + 5, dtype=dtype)
    item = memory.itemsize
    x = np.lib.stride_tricks.as_strided(memory, (S, R, 130), (memory.strides[0], 7 * item, item))
    one, alone = dense.Packed(weight, bias), np.empty((S, R, 200), dtype)
    for s in range(S):
        for r in range(R):
            one(np.array(x[s, r]), alone[s, r])
    np.testing.assert_allclose(alone, x @ weight.T + bias, rtol=0, atol=1e-4 if item == 4 else 1e-12)
    for threads in (1, 2, 3):
        y = np.full((S, R, 200), np.nan, dtype)
        dense.Packed(weight, bias, max(S, R)).windows(x, y, threads=threads)
        assert np.array_equal(y, alone)


def test_windows_that_do_not_fit():
    packed, y = dense.Packed(numbers(1, 8, 6), None, 2), np.empty((1, 2, 8), "float32")
    with pytest.raises(ValueError, match="3 rows at once, where 2 were said"):
        packed.windows(numbers(2, 1, 3, 6), np.empty((1, 3, 8), "float32"), threads=1)
    for x in (numbers(2, 1, 2, 5), numbers(2, 2, 6), numbers(2, 1, 2, 12)[:, :, ::2], numbers(2, 1, 2, 6, dtype="f8")):
        with pytest.raises(ValueError, match="windows of 6 contiguous elements of 4 bytes"):
            packed.windows(x, y, threads=1)
    with pytest.raises(ValueError, match="buffer of"):
        packed.windows(numbers(2, 1, 2, 6), y[:, :1].copy(), threads=1)


# --- Silero VAD ---------------------------------------------------------------------------------------------

FRAME, BEFORE, RATE = 512, 64, 16000


@pytest.fixture(scope="module")
def silero():
    """The folder of its files, in its wheel (``pip install --no-deps silero-vad``), which need not be imported."""
    found = importlib.util.find_spec("silero_vad")
    if found is None:
        pytest.skip("needs silero-vad")
    return Path(found.submodule_search_locations[0]) / "data"


def frames(seconds):
    """Speech-like sound: a voice of harmonics that swells, over noise; each frame with the end of the one before."""
    t = np.arange(int(seconds * RATE) // FRAME * FRAME) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * k * t + 3 * np.sin(2 * np.pi * 2 * t)) / k for k in range(1, 20))
    sound = (voice * np.clip(np.sin(2 * np.pi * 1.5 * t), 0, None) * 0.2 + 0.01 * numbers(1, t.size)).astype("float32")
    rows = sound.reshape(-1, FRAME)
    return np.hstack([np.vstack([np.zeros((1, BEFORE), "float32"), rows[:-1, -BEFORE:]]), rows])


def run_frames(run, rows):
    """Probabilities of (frames, streams) and the last state."""
    state, found = np.zeros((2, rows.shape[1], 128), "float32"), []
    for row in rows:
        probability, state = run({"input": row, "state": state, "sr": np.array(RATE)})
        found.append(probability[:, 0])
    return np.array(found), state


@pytest.mark.parametrize("name", ["silero_vad", "silero_vad_16k_op15", "silero_vad_op18_ifless"])
def test_silero_frame_by_frame(name, silero):
    path, rows = str(silero / f"{name}.onnx"), frames(6)[:, None]
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    model = ours.import_model(path)
    found, state = run_frames(lambda given: model(given).values(), rows)
    wanted, last = run_frames(lambda given: session.run(None, given), rows)
    assert wanted.max() > 0.5 > 0.1 > wanted.min()  # it hears a voice, and the pauses
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    np.testing.assert_allclose(state, last, rtol=0, atol=1e-5)


def test_silero_as_a_sequence_and_in_a_thousand_streams(silero):
    """The same bits as frame by frame, alone."""
    rows, model = frames(3), ours.import_model(silero / "silero_vad_op18_ifless.onnx")
    alone, _ = run_frames(lambda given: model(given).values(), rows[:, None])
    many, _ = run_frames(lambda given: model(given).values(), np.repeat(rows[:, None], 1000, 1)[:12])
    assert np.array_equal(many, np.repeat(alone[:12], 1000, 1))
    whole, one = (ours.import_model(silero / "silero_vad_16k_sequence.onnx") for _ in range(2))
    zeros = np.zeros((1, 1, 128), "float32")
    made = whole({"input": rows, "h": zeros, "c": zeros})
    h = c = zeros
    for k, row in enumerate(rows):
        probability, h, c = one({"input": row[None], "h": h, "c": c}).values()
        assert np.array_equal(probability, made["speech_probs"][k : k + 1])
    assert np.array_equal(h, made["hn"]) and np.array_equal(c, made["cn"])
    np.testing.assert_allclose(made["speech_probs"], alone[:, 0], rtol=0, atol=1e-5)


def test_inputs_and_outputs_go_by_position_too(tmp_path):
    layer = pylstm.LSTM(3, 5, seed=0)
    ours.export(layer, tmp_path / "net.onnx", lengths=True, states=True)
    model = ours.import_model(tmp_path / "net.onnx")
    x = np.random.default_rng(0).standard_normal((6, 2, 3)).astype("float32")
    given = {"x": x, "lengths": np.array([6, 4], "int32")}
    given |= {name: np.ones((2, 5), "float32") for name in model.inputs if name not in given}
    named, placed = model(given), model(*(given[name] for name in model.inputs))
    for k, name in enumerate(model.outputs):
        np.testing.assert_array_equal(placed[k], named[name])
        np.testing.assert_array_equal(placed[k - len(model.outputs)], named[name])
    with pytest.raises(IndexError, match=rf"the model has {len(model.outputs)} outputs \(y, .*\), and none at 9"):
        placed[9]
    with pytest.raises(KeyError, match=r"unknown name 'z' \(known: y, "):
        placed["z"]
    for wrong in ((), (x,), (*given.values(), x), (given, x)):
        with pytest.raises(ValueError, match=r"the model takes x, lengths.*, in this order or as a dict, got"):
            model(*wrong)
