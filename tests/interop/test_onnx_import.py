"""`pylstm.interop.onnx.import_model` against onnxruntime, operator by operator, and on exported models."""

import numpy as np
import pytest

import pylstm
from pylstm import SequenceModel, Sequences
from pylstm.interop import onnx as ours
from pylstm.layers.named import Recurrent

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

T, B, I, H = 6, 4, 3, 5
LENGTHS = np.array([6, 1, 4, 2], "int32")
FLOAT, INT32 = 1, 6


def numbers(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def write(folder, nodes, inputs, outputs, constants=None, opset=18):
    """A file of these nodes; inputs are arrays, outputs names."""
    kind = onnx.helper.np_dtype_to_tensor_dtype
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info(n, kind(a.dtype), [None] * a.ndim) for n, a in inputs.items()],
        [onnx.helper.make_empty_tensor_value_info(name) for name in outputs],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    path = str(folder / "net.onnx")
    onnx.save(onnx.shape_inference.infer_shapes(model), path)  # which sets the types of the outputs
    return path


def run_reference(path, inputs):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, inputs)


def compare(path, inputs, atol=1e-5):
    """The first call of a model, which lays out a plan, and two that follow it, with other numbers and these again."""
    model = ours.import_model(path)
    other = {n: np.asarray(0.75 * x, x.dtype) if x.dtype.kind == "f" else x for n, x in inputs.items()}
    first = list(model(inputs).values())
    for given in (other, inputs):
        found, wanted = list(model(given).values()), run_reference(path, given)
        assert len(found) == len(wanted)
        for one, two in zip(found, wanted):
            assert one.shape == two.shape and one.dtype == two.dtype
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=atol)
    assert all(map(np.array_equal, found, first, [True] * len(first)))


def recurrent_file(folder, cell, direction, given=("lengths", "h", "c"), bias=True, **more):
    """A file with one operator, and its inputs."""
    layer = Recurrent(cell, I, H, bias=bias, bidirectional=direction == "bidirectional", seed=1)
    layer.params.flat[...] += numbers(5, layer.params.size) * 0.2
    kind, own, _ = ours.CELLS[cell]
    found, D = ours.tensors(layer), 2 if direction == "bidirectional" else 1
    options = ours.attributes(layer) | {"direction": direction} | more
    if "Affine" in own["activations"]:
        options |= {"activation_alpha": [1.0] * D, "activation_beta": [0.0] * D}
    shape = (B, D, H) if more.get("layout") else (D, B, H)
    arrays = {"x": numbers(2, *((B, T, I) if more.get("layout") else (T, B, I))), "lengths": LENGTHS}
    arrays |= {"h": numbers(3, *shape), "c": numbers(4, *shape)}
    inputs = ["x", "W", "R", "B" if bias else "", *(n if n in given else "" for n in ("lengths", "h"))]
    if kind == "LSTM":
        inputs += ["c" if "c" in given else "", "P" if "P" in found else ""]
    while not inputs[-1]:
        inputs.pop()
    outputs = ["y", "final_h", "final_c"][: 3 if kind == "LSTM" else 2]
    taken = {name: array for name, array in arrays.items() if name in inputs}
    return write(folder, [onnx.helper.make_node(kind, inputs, outputs, **options)], taken, outputs, found), taken


@pytest.mark.parametrize("given", [(), ("lengths",), ("lengths", "h", "c"), ("c",)], ids="-".join)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("cell", ours.CELLS)
def test_recurrent_operators(cell, direction, given, tmp_path):
    compare(*recurrent_file(tmp_path, cell, direction, given, bias=given != ("c",)))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_rows_first(cell, direction, tmp_path):
    """Layout 1, which onnxruntime does not have: the same numbers as of layout 0, with other axes."""
    (tmp_path / "1").mkdir()
    path, inputs = recurrent_file(tmp_path, cell, direction)
    other, _ = recurrent_file(tmp_path / "1", cell, direction, layout=1)
    turned = {name: each if name == "lengths" else each.swapaxes(0, 1) for name, each in inputs.items()}
    y, *finals = ours.import_model(other)(turned).values()
    wanted_y, *wanted = run_reference(path, inputs)
    np.testing.assert_allclose(y, wanted_y.transpose(2, 0, 1, 3), rtol=0, atol=1e-5)
    for found, each in zip(finals, wanted, strict=True):
        np.testing.assert_allclose(found, each.swapaxes(0, 1), rtol=0, atol=1e-5)


X, Y, POSITIVE = numbers(1, 2, 3, 4), numbers(2, 2, 3, 4), np.abs(numbers(3, 2, 3, 4)) + 0.1
SHAPE = np.array([0, -1], "int64")
INTEGERS = np.array([[7, -7, 8]], "int64"), np.array([[2, 2, -3]], "int64")


def integers(*values):
    return np.array(values, "int64")


OPERATORS = [
    *((op, [X], {}) for op in ("Exp", "Tanh", "Sin", "Cos", "Neg", "Abs", "Sigmoid", "Relu", "Softplus", "Floor")),
    *((op, [POSITIVE], {}) for op in ("Log", "Sqrt", "Reciprocal")),
    *((op, [X, Y[:, :1]], {}) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum")),
    *((op, [np.round(X), np.round(Y)], {}) for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")),
    *((op, [X > 0, Y > 0], {}) for op in ("And", "Or")),
    ("Not", [X > 0], {}),
    ("Div", list(INTEGERS), {}),
    ("Pow", [POSITIVE, Y], {}),
    ("Max", [X, Y, POSITIVE], {}),
    ("Where", [X > 0, X, Y], {}),
    ("LeakyRelu", [X], {"alpha": 0.2}),
    ("Elu", [X], {"alpha": 0.7}),
    ("HardSigmoid", [X], {"alpha": 0.3}),
    ("HardSigmoid", [5 * X], {}),
    ("Clip", [X, np.float32(-0.5), np.float32(0.4)], {}),
    ("Clip", [X, np.float32(-0.5)], {}),
    *(
        (op, [X, integers(0, 2)], {"keepdims": keep})
        for op in ("ReduceSum", "ReduceMean", "ReduceMax")
        for keep in (0, 1)
    ),
    ("ReduceMin", [X], {}),
    ("ReduceSum", [X], {"noop_with_empty_axes": 1}),
    ("ArgMax", [np.round(X)], {"axis": 2, "keepdims": 0}),
    ("ArgMax", [np.round(X)], {"axis": 1, "select_last_index": 1}),
    ("Softmax", [X], {"axis": 1}),
    ("LogSoftmax", [X], {}),
    ("MatMul", [X, Y.swapaxes(1, 2).copy()], {}),
    ("MatMul", [X, numbers(5, 4, 6)], {}),
    ("Identity", [X], {}),
    ("Cast", [X], {"to": 7}),
    ("Concat", [X, Y, X], {"axis": -2}),
    ("Slice", [X, integers(1, -2), integers(3, 100), integers(1, -1)], {}),
    ("Slice", [X, integers(-1), integers(-100), integers(2), integers(-1)], {}),
    ("Slice", [X, integers(1), integers(2)], {}),
    ("Pad", [X, integers(0, 1, 2, 0, 0, 1), np.float32(3)], {}),
    ("Pad", [X, integers(0, 0, 2, 0, 0, 1)], {"mode": "reflect"}),
    ("Gather", [X, integers(2, 0, -1)], {"axis": 1}),
    ("Reshape", [X, integers(0, -1)], {}),
    ("Flatten", [X], {"axis": 2}),
    ("Flatten", [X], {"axis": 0}),
    ("Flatten", [X], {"axis": -1}),
    ("Flatten", [X], {"axis": -2}),
    ("Transpose", [X], {}),
    ("Transpose", [X], {"perm": [2, 0, 1]}),
    ("Squeeze", [X[:, :1], integers(1)], {}),
    ("Squeeze", [X[:1, :1]], {}),
    ("Unsqueeze", [X, integers(0, -1)], {}),
    ("Expand", [X[:, :1], integers(3, 1)], {}),
    ("Shape", [X], {"start": 1}),
    ("Size", [X], {}),
    ("Range", [integers(2)[0], integers(11)[0], integers(3)[0]], {}),
    ("ConstantOfShape", [integers(2, 3)], {}),
    ("Gemm", [X[0], numbers(5, 4, 6), numbers(6, 6)], {"alpha": 0.5, "beta": 2.0}),
    ("Gemm", [X[0], numbers(5, 6, 4), numbers(6, 1)], {"transB": 1}),
    ("Gemm", [X[0].T.copy(), numbers(5, 3, 6)], {"transA": 0}),
    ("Gemm", [X[0], numbers(5, 3, 6)], {"transA": 1}),
    ("Conv", [numbers(1, 2, 4, 20), numbers(2, 6, 4, 3), numbers(3, 6)], {"pads": [2, 0], "kernel_shape": [3]}),
    ("Conv", [numbers(1, 2, 4, 20), numbers(2, 6, 2, 3), numbers(3, 6)], {"group": 2, "strides": [3], "pads": [1, 2]}),
    ("Conv", [numbers(1, 2, 4, 20), numbers(2, 6, 4, 5)], {"dilations": [2], "strides": [2]}),
]
OPERATORS += [
    ("Conv", [numbers(1, 2, 4, 20), numbers(2, 4, 1, 3), numbers(3, 4)], {"group": 4, "pads": [1, 0]}),
    ("Conv", [numbers(1, 2, 4, 20), numbers(2, 8, 1, 4)], {"group": 4, "strides": [3], "dilations": [2]}),
    ("Pad", [X, integers(0, -1, 2, 0, 0, -1), np.float32(3)], {}),
    ("Pad", [X, integers(0, 0, -1, 0, 0, 2)], {"mode": "reflect"}),
    ("Dropout", [X, np.float32(0.5), np.array(False)], {}),
    *((op, [X], {}) for op in ("Tan", "Sinh", "Cosh", "Ceil", "Sign", "Softsign", "Mish", "HardSwish", "Erf", "Gelu")),
    *((op, [3 * X], {"alpha": 0.6}) for op in ("Celu", "Selu", "ThresholdedRelu")),
    *((op, [3 * X], {}) for op in ("Celu", "Selu", "ThresholdedRelu")),
    ("Gelu", [X], {"approximate": "tanh"}),
    ("Round", [np.float32([-1.5, -0.5, 0.5, 1.5, 2.5, 2.4])], {}),
    ("PRelu", [X, numbers(5, 3, 1)], {}),
    ("BatchNormalization", [X, *(numbers(k, 3) for k in (5, 6, 7)), POSITIVE[0, :, 0].copy()], {"epsilon": 0.01}),
    ("LayerNormalization", [X, numbers(5, X.shape[-1]), numbers(6, X.shape[-1])], {"epsilon": 0.01}),
    ("LayerNormalization", [X, numbers(5, *X.shape[1:])], {"axis": 1}),
]
CONSTANT = {"Gemm": slice(1, None), "Conv": slice(1, None)}


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("k", range(len(OPERATORS)), ids=lambda k: f"{OPERATORS[k][0]}-{k}")
def test_operators(k, constant, tmp_path):
    """The first input is that of the file, the others too or constants."""
    op, arrays, options = OPERATORS[k]
    names = [f"in{n}" for n in range(len(arrays))]
    held = names[1:] if constant or op in CONSTANT else []
    given = dict(zip(names, map(np.asarray, arrays)))
    inputs = {name: each for name, each in given.items() if name not in held}
    node = onnx.helper.make_node(op, names, ["out"], **options)
    opset = 20 if op == "Gelu" else 18
    compare(write(tmp_path, [node], inputs, ["out"], {n: given[n] for n in held}, opset), inputs)


def test_what_does_not_run_as_it_was_written_is_refused(tmp_path):
    given = {"ratio": np.float32(0.5), "training": np.array(True)}
    node = onnx.helper.make_node("Dropout", ["x", *given], ["out"])
    with pytest.raises(ValueError, match="Dropout: training_mode must be false"):
        ours.import_model(write(tmp_path, [node], {"x": X}, ["out"], given))(X)
    node = onnx.helper.make_node("Conv", ["x", "w"], ["out"], pads=[1, 0], dilations=[3])
    path = write(tmp_path, [node], {"x": numbers(0, 1, 2, 5)}, ["out"], {"w": numbers(1, 2, 2, 3)})
    with pytest.raises(ValueError, match="a window of 7 steps is longer than the input, 5 steps and 1 of pad"):
        ours.import_model(path)(numbers(0, 1, 2, 5))
    path = write(
        tmp_path, [onnx.helper.make_node("Gather", ["x", "at"], ["out"], axis=1)], {"x": X, "at": integers(9)}, ["out"]
    )
    with pytest.raises(ValueError, match=f"Gather: indices must be in {-X.shape[1]}..{X.shape[1] - 1} along axis 1"):
        ours.import_model(path)({"x": X, "at": integers(9)})
    for k in (-5, 4):  # one number, of which the plan makes an index
        node = onnx.helper.make_node("Gather", ["x", "at"], ["out"], axis=2)
        model = ours.import_model(write(tmp_path, [node], {"x": X}, ["out"], {"at": np.array(k)}))
        with pytest.raises(ValueError, match=r"Gather: indices must be in -4\.\.3 along axis 2"):
            model(X)
    held = {"w": numbers(1, 1, 12, 4), "r": numbers(2, 1, 12, 3)}
    node = onnx.helper.make_node("LSTM", ["x", *held], ["out"], hidden_size=5)
    with pytest.raises(ValueError, match="LSTM: hidden_size is 5, but R has 3 columns"):
        ours.import_model(write(tmp_path, [node], {"x": numbers(0, 2, 1, 4)}, ["out"], held))


def unchecked(folder, nodes, held, times=1, listed=False):
    """A file that onnx may refuse; with `listed` what it holds is among the inputs, too."""
    kind = onnx.helper.make_tensor_value_info
    tensors = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()] * times
    inputs = [kind("x", FLOAT, None), *(kind(each.name, each.data_type, []) for each in tensors if listed)]
    graph = onnx.helper.make_graph(nodes, "graph", inputs, [kind("y", FLOAT, None)], tensors)
    path = str(folder / "unchecked.onnx")
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def test_a_value_that_is_defined_twice_is_refused(tmp_path):
    """By two nodes, by a node and an initializer or an input, by two initializers, in a branch by what is around it."""
    make, held = onnx.helper.make_node, {"w": np.float32(2), "yes": np.array(True)}
    add, neg = make("Add", ["x", "w"], ["h"]), make("Neg", ["x"], ["h"])
    ways = "then", "else"
    inner = {f"{way}_branch": branch(way, make("Exp", ["x"], ["h"]), make("Neg", ["h"], [way])) for way in ways}
    cases = [
        ([add, neg, make("Abs", ["h"], ["y"])], "'h' is defined twice, the second time by a node Neg: a value of an"),
        ([make("Exp", ["x"], ["w"]), make("Abs", ["w"], ["y"])], "'w' is defined twice, the second time by a node Exp"),
        ([make("Exp", ["w"], ["x"]), make("Abs", ["x"], ["y"])], "'x' is defined twice, the second time by a node Exp"),
        ([add, make("If", ["yes"], ["y"], **inner)], "'h' is defined twice, the second time by a node Exp"),
    ]
    for nodes, message in cases:
        with pytest.raises(ValueError, match=message):
            ours.import_model(unchecked(tmp_path, nodes, held))
    with pytest.raises(ValueError, match="'w' is defined twice, the second time by an initializer"):
        ours.import_model(unchecked(tmp_path, [make("Add", ["x", "w"], ["y"])], held, times=2))
    listed = ours.import_model(unchecked(tmp_path, [make("Add", ["x", "w"], ["y"])], held, listed=True))
    assert listed.inputs == ("x",) and np.array_equal(listed(X)["y"], X + 2)


def test_a_dropout_that_drops_nothing(tmp_path):
    """Of ratio 0 in training mode, and the mask of what is kept."""
    make, held = onnx.helper.make_node, {"ratio": np.float32(0), "training": np.array(True)}
    nodes = [make("Dropout", ["x", "ratio", "training"], ["out", "mask"]), make("Not", ["mask"], ["gone"])]
    compare(write(tmp_path, nodes, {"x": X}, ["out", "gone"], held), {"x": X})
    model = ours.import_model(write(tmp_path, [make("Dropout", ["x", *held], ["out"])], {"x": X}, ["out"], held))
    assert np.array_equal(model(X)["out"], X)


@pytest.mark.parametrize("sizes", [None, [1, 3]])
def test_split(sizes, tmp_path):
    held = {} if sizes is None else {"sizes": integers(*sizes)}
    options = {"num_outputs": 2} if sizes is None else {}
    node = onnx.helper.make_node("Split", ["x", *held], ["a", "b"], axis=2, **options)
    compare(write(tmp_path, [node], {"x": X}, ["a", "b"], held), {"x": X})


def test_attributes_of_earlier_versions(tmp_path):
    make = onnx.helper.make_node
    nodes = [
        make("Unsqueeze", ["x"], ["a"], axes=[0]),
        make("Slice", ["a"], ["b"], starts=[1], ends=[3], axes=[2]),
        make("ReduceSum", ["b"], ["c"], axes=[0], keepdims=0),
        make("Softmax", ["c"], ["d"]),
        make("Split", ["d"], ["e", "f"], axis=2, split=[1, 3]),
        make("Clip", ["f"], ["g"], min=0.05, max=0.2),
        make("Squeeze", ["e"], ["h"], axes=[2]),
    ]
    compare(write(tmp_path, nodes, {"x": X}, ["g", "h"], opset=9), {"x": X})


def branch(name, *nodes):
    kind = onnx.helper.make_tensor_value_info(name, FLOAT, None)
    two = onnx.numpy_helper.from_array(np.float32(2), "two")
    return onnx.helper.make_graph([*nodes], name, [], [kind], [two])


@pytest.mark.parametrize("first", [-1.0, 1.0])
def test_branches(first, tmp_path):
    """A branch in a branch reads a value, a constant and an input from around it."""
    make, x = onnx.helper.make_node, X.copy()
    x[0, 0, 0] = first
    inner = [branch("g", make("Add", ["f", "x"], ["g"])), branch("h", make("Mul", ["f", "held"], ["h"]))]
    then = branch(
        "e", make("Mul", ["d", "two"], ["f"]), make("If", ["no"], ["e"], then_branch=inner[0], else_branch=inner[1])
    )
    nodes = [
        make("ReduceMax", ["corner"], ["top"], keepdims=0),
        make("Greater", ["top", "zero"], ["yes"]),
        make("Less", ["top", "zero"], ["no"]),
        make("Neg", ["x"], ["d"]),
        make("If", ["yes"], ["y"], then_branch=then, else_branch=branch("k", make("Sub", ["d", "two"], ["k"]))),
    ]
    held = {"zero": np.float32(0), "held": np.float32(3)}
    inputs = {"x": x, "corner": x[:1, :1, :1]}
    compare(write(tmp_path, nodes, inputs, ["y"], held), inputs)
    with pytest.raises(ValueError, match="the operators Det are not known"):
        nodes[-1] = make("If", ["yes"], ["y"], then_branch=then, else_branch=branch("k", make("Det", ["d"], ["k"])))
        ours.import_model(write(tmp_path, nodes, inputs, ["y"], held))


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("read", ["last", "mean", "max", "every"])
def test_exported_models_come_back(read, ragged, tmp_path):
    net = SequenceModel("lstm", 3, 5, 4, num_layers=2, bidirectional=True, head_sizes=(6,), read=read, seed=0)
    path = tmp_path / "net.onnx"
    ours.export(net, path, lengths=ragged)
    x, model = numbers(2, B, T, I), ours.import_model(path)
    wanted = net.predict(Sequences(x, LENGTHS) if ragged else x)
    found = model({"x": x, "lengths": LENGTHS} if ragged else x)["y"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert [each.output_size for each in model.layers[:4]] == [5] * 4 and len(model.layers) == 6


def test_an_exported_stream(tmp_path):
    stack, x = pylstm.GRU(3, 5, num_layers=2, seed=0), numbers(2, T, B, I)
    ours.export(stack, tmp_path / "net.onnx", states=True)
    model = ours.import_model(tmp_path / "net.onnx")
    states, out = {name: np.zeros((B, 5), "float32") for name in model.inputs if name != "x"}, []
    for x_t in x:
        found = model({"x": x_t[None], **states})
        out.append(found.pop("y")[0])
        states = {name.replace("final", "initial"): array for name, array in found.items()}
    np.testing.assert_allclose(np.stack(out), stack(x).y, rtol=0, atol=1e-6)


def test_operators_that_are_not_known_are_named(tmp_path):
    ours.export(Recurrent("mgu", 3, 5), tmp_path / "scan.onnx")
    with pytest.raises(ValueError, match=r"scan\.onnx: the operators Scan are not known here: run the file with onnx"):
        ours.import_model(tmp_path / "scan.onnx")
    node = onnx.helper.make_node("Det", ["x"], ["y"])
    other = onnx.helper.make_node("TopK", ["y", "y"], ["z", "at"])
    with pytest.raises(ValueError, match="the operators Det, TopK are not known"):
        ours.import_model(write(tmp_path, [node, other], {"x": X}, ["z"]))


def test_weights_that_are_no_constants_are_refused(tmp_path):
    node = onnx.helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=H)
    arrays = {"x": numbers(1, T, B, I), "w": numbers(2, 1, 4 * H, I), "r": numbers(3, 1, 4 * H, H)}
    with pytest.raises(ValueError, match="W and R must be constants of the file"):
        ours.import_model(write(tmp_path, [node], arrays, ["y"]))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        ours.import_model(tmp_path / "none.onnx")
    for text in ("not a model", ""):
        (tmp_path / "text.onnx").write_text(text)
        with pytest.raises(ValueError, match=r"text\.onnx: not an ONNX file"):
            ours.import_model(tmp_path / "text.onnx")
    with pytest.raises(
        TypeError, match=r"got ModelProto: pylstm.interop.onnx.import_model\(path\) reads a file, onnx.save"
    ):
        ours.import_model(onnx.ModelProto())
    node = onnx.helper.make_node("Add", ["x", "none"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [onnx.helper.make_tensor_value_info("x", 1, [1])], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "cut.onnx")
    with pytest.raises(ValueError, match="Add reads 'none', which nothing before it makes"):
        ours.import_model(tmp_path / "cut.onnx")


def test_inputs_are_checked(tmp_path):
    ours.export(pylstm.LSTM(3, 5), tmp_path / "net.onnx", lengths=True)
    model, x = ours.import_model(tmp_path / "net.onnx"), numbers(1, T, B, I)
    assert (model.inputs, model.outputs) == (("x", "lengths"), ("y",))
    with pytest.raises(ValueError, match="takes x, lengths, in this order or as a dict, got 1 without names"):
        model(x)
    with pytest.raises(ValueError, match="in this order or as a dict, got x, steps"):
        model({"x": x, "steps": LENGTHS})
    with pytest.raises(TypeError, match="x must be float32, got float64"):
        model({"x": x.astype("float64"), "lengths": LENGTHS})
    with pytest.raises(ValueError, match=r"x must have shape \(T, B, 3\), got"):
        model({"x": x[..., :2], "lengths": LENGTHS})
