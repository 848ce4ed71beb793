"""What `pylstm.interop.onnx.export` writes, run by onnxruntime, against pylstm: cells, layers, stacks."""

import subprocess
import sys

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, Stage, exp, expm1, log1p, maximum, minimum, relu, sigmoid, softplus, tanh, where
from pylstm.interop import onnx as ours
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack
from pylstm.plugins import registry

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

CELLS = registry().names()
TOLERANCE = {"float32": 1e-5, "float64": 1e-11}
DTYPES = list(TOLERANCE)
LENGTHS = np.array([9, 0, 4, 1], "int32")


class Everything(Cell):
    """Every operation of a formula, a parameter of width 1, two stages, and a state that is a number."""

    states = ("h", "c", "kept", "count", "flag")
    gates = {"a": "x+h", "b": "c+x", "m": "h", "n": "x+e+first"}
    biased = ("a", "m", "n")
    params = ("w", "rate")
    widths = {"count": 1, "rate": 1}
    stages = (Stage("first_stage", ("a", "b"), ("e", "first")), Stage("last", ("m", "n")))

    def forward_first_stage(z, prev, p):
        e = expm1(0.01 * z.a) * 50 + log1p(0.01 * softplus(z.b)) * p.rate
        return {"e": e, "first": p.w * sigmoid(z.a)}

    def forward_last(z, prev, e, p):
        inside = (z.m > 0.1) & (z.n <= 2.0) | ~(prev.h >= 0) & (z.n != 0)
        h = where(inside, tanh(z.m), relu(z.n) / (1 + abs(z.n))) * p.rate + maximum(sigmoid(e.e), 0.3)
        power = exp(-z.m * z.m) ** (1.5 + 0 * z.n) + (prev.count + 2.0) ** 0.5
        return {"h": h, "c": power - 0.1 * prev.c, "kept": 0.25, "count": prev.count + 1, "flag": z.n > 0}


class Sums(Cell):
    """A formula cell whose name is that of a bundled one."""

    name = "lstm"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}

    def forward(z, prev):
        c = 0.5 * prev.c + z.i * tanh(z.f)
        return {"h": sigmoid(z.o) * c + 0.1 * z.g, "c": c}


FUNCTIONS = {
    "expm1": (expm1, np.expm1),
    "log1p": (lambda v: log1p(abs(v)), lambda v: np.log1p(np.abs(v))),
    "softplus": (softplus, lambda v: np.logaddexp(v, 0)),
    "power": (lambda v: abs(v) ** 1.5, lambda v: np.abs(v) ** 1.5),
    "root": (lambda v: (v + 200) ** 0.5, lambda v: np.sqrt(v + 200)),
    "lt": (lambda v: where(v < 1, v, 7), lambda v: np.where(v < 1, v, 7)),
    "le": (lambda v: where(v <= 1, v, 7), lambda v: np.where(v <= 1, v, 7)),
    "gt": (lambda v: where(v > 1, v, 7), lambda v: np.where(v > 1, v, 7)),
    "ge": (lambda v: where(v >= 1, v, 7), lambda v: np.where(v >= 1, v, 7)),
    "eq": (lambda v: where(v == 1, 5, 7), lambda v: np.where(v == 1, 5, 7)),
    "ne": (lambda v: where(v != 1, 5, 7), lambda v: np.where(v != 1, 5, 7)),
    "not": (lambda v: where(~(v > 1), v, 7), lambda v: np.where(v > 1, 7, v)),
    "and, or": (
        lambda v: where((v > 0) & (v < 1) | (v == -1), v, 7),
        lambda v: np.where((v > 0) & (v < 1) | (v == -1), v, 7),
    ),
    "max, min": (lambda v: maximum(v, -2) + minimum(v, 2), lambda v: np.maximum(v, -2) + np.minimum(v, 2)),
}
"""Operations of formulas, as a formula and in NumPy."""


def open_session(path):
    """A session of one thread; the checker of ONNX has seen the file."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def session_of(model, folder, **options):
    path = str(folder / "net.onnx")
    ours.export(model, path, **options)
    return open_session(path)


def call(session, **inputs):
    """Outputs by name; keywords of inputs have ``__`` for a dot."""
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, {name.replace("__", "."): array for name, array in inputs.items()})))


def assert_close(found, wanted, dtype):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].shape == array.shape and found[name].dtype == array.dtype, name
        limit = TOLERANCE[dtype] * max(1.0, np.abs(array).max(initial=0))
        np.testing.assert_allclose(found[name], array, rtol=0, atol=limit, err_msg=name)


def numbers(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def layer_of(cell, dtype, **options):
    contract = (registry().get(cell) if isinstance(cell, str) else cell).contract
    options = {name: 4 for name, default in contract.sizes.items() if default is None} | options
    inputs = 6 if cell == "reslstm" else 3
    layer = Recurrent(cell, inputs, 6, dtype=dtype, seed=1, **options)
    layer.params.flat[...] += numbers(5, layer.params.size, dtype=dtype) * 0.1  # nor is a bias or a parameter 0 or 1
    return layer


def legal(contract, name, array):
    """`array` moved into the domain of a block."""
    return np.abs(array) + array.dtype.type(0.1) if name in contract.domain else array


def run_both(layer, session, T, lengths=None):
    """Outputs of onnxruntime and ours, of the same drawn inputs and initial states that are not 0."""
    contract, dtype, B = layer.cell.contract, layer.dtype, 4
    x = numbers(2, T, B, layer.input_size, dtype=dtype)
    states = {n: legal(contract, n, numbers(k, B, layer.widths[n], dtype=dtype)) for k, n in enumerate(contract.states)}
    aux = {n: legal(contract, n, numbers(9, T, B, layer.widths[n], dtype=dtype)) for n in contract.aux if n != "x"}
    run = layer(x, states, aux=aux or None, lengths=lengths)
    given = {f"initial.{n}": each for n, each in states.items()} | {f"aux.{n}": each for n, each in aux.items()}
    if any(each.name == "lengths" for each in session.get_inputs()):
        given["lengths"] = np.full(B, T, "int32") if lengths is None else lengths
    wanted = {"y": run.y} | {f"final.{n}": run.final[n] for n in contract.states}
    return call(session, x=x, **given), wanted


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", [*CELLS, Everything, Sums], ids=lambda cell: getattr(cell, "__name__", cell))
def test_every_cell(cell, dtype, tmp_path):
    layer = layer_of(cell, dtype)
    plain = session_of(layer, tmp_path, states=True)
    ragged = session_of(layer, tmp_path, states=True, lengths=True)
    for T in (1, 9):
        assert_close(*run_both(layer, plain, T), dtype)
        assert_close(*run_both(layer, ragged, T), dtype)
    assert_close(*run_both(layer, ragged, 9, LENGTHS), dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_keep_their_digits(name, tmp_path):
    """At 0, near it, where comparisons are equal, and far out: relative to each value, not to the largest."""
    formula, exact = FUNCTIONS[name]

    class Applied(Cell):
        states = ("h", "v")
        gates = {"a": "x+h"}

        def forward(z, prev):
            return {"h": formula(prev.v) + 0 * z.a, "v": prev.v}

    values = np.array([[0, 1e-20, -1e-7, 3e-6, 1e-3, -0.03, 0.5, 0.99, 1, -1, 1.01, -2, 2, 17, -20, 60, -80]])
    layer = Recurrent(Applied, 1, values.size, certified=False, seed=0)
    given = {"initial.h": np.zeros((1, values.size), "float32"), "initial.v": values.astype("float32")}
    found = call(session_of(layer, tmp_path, states=True), x=np.zeros((1, 1, 1), "float32"), **given)["y"][0]
    np.testing.assert_allclose(found, exact(given["initial.v"].astype("float64")), rtol=2e-6, atol=0)


@pytest.mark.parametrize("cell", ours.CELLS)
def test_operators_are_native_in_float32_only(cell, tmp_path):
    for dtype in DTYPES:
        path = tmp_path / "net.onnx"
        ours.export(layer_of(cell, dtype), path)
        kinds = {node.op_type for node in onnx.load(path).graph.node}
        native = dtype == "float32"
        assert (ours.CELLS[cell][0] in kinds) == native and ("Scan" in kinds) != native


def test_a_class_with_the_name_of_a_bundled_cell_is_itself(tmp_path):
    ours.export(layer_of(Sums, "float32"), tmp_path / "net.onnx")
    assert "Scan" in {node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}


@pytest.mark.parametrize("cell", ["cornn", "lem"])
def test_options_of_a_cell(cell, tmp_path):
    layer = layer_of(cell, "float64", dt=0.03)
    session = session_of(layer, tmp_path, states=True)
    assert_close(*run_both(layer, session, 9), "float64")


@pytest.mark.parametrize("cell", ["gru", "mgu", "lstmp"])
def test_without_bias(cell, tmp_path):
    layer = layer_of(cell, "float32", bias=False)
    assert_close(*run_both(layer, session_of(layer, tmp_path, states=True), 9), "float32")


def test_dtype_of_the_file_may_be_another(tmp_path):
    layer = layer_of("gru", "float64")
    x = numbers(2, 7, 2, 3, dtype="float64")
    found = call(session_of(layer, tmp_path, dtype="float32"), x=x.astype("float32"))["y"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, layer(x).y, rtol=0, atol=1e-5)


def two_directions(cell, dtype, **options):
    both = Bidirectional(layer_of(cell, dtype, **options), layer_of("mgu", dtype, **options))
    both.params.flat[...] = numbers(3, both.params.size, dtype=dtype) * 0.4
    return both


def stack_of(dtype, **options):
    layers = [
        two_directions("lstm", dtype, **options),
        Recurrent("peephole", 12, 12, dtype=dtype, seed=2, **options),
        Recurrent("minlstm", 12, 5, dtype=dtype, seed=3, **options),
    ]
    return Stack(layers, dropout=0.5, residual=(False, True, False), seed=0)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("learned", [False, True])
def test_stacks_and_directions(dtype, batch_first, learned, ragged, tmp_path):
    stack = stack_of(dtype, batch_first=batch_first, learn_initial=learned).eval()
    stack.params.flat[...] += numbers(4, stack.params.size, dtype=dtype) * 0.1
    session = session_of(stack, tmp_path, lengths=ragged)
    x = numbers(2, *((4, 9) if batch_first else (9, 4)), 3, dtype=dtype)
    lengths = LENGTHS if ragged else None
    given = {"lengths": LENGTHS} if ragged else {}
    assert_close(call(session, x=x, **given), {"y": stack(x, lengths=lengths).y}, dtype)


def test_a_residual_first_layer_of_ragged_rows(tmp_path):
    stack = Stack([Recurrent("gru", 5, 5, seed=0), Recurrent("mgu", 5, 5, seed=1)], residual=(True, True))
    x = numbers(2, 9, 4, 5)
    found = call(session_of(stack, tmp_path, lengths=True), x=x, lengths=LENGTHS)
    assert_close(found, {"y": stack(x, lengths=LENGTHS).y}, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_states_of_a_stack(dtype, tmp_path):
    stack = stack_of(dtype).eval()
    session = session_of(stack, tmp_path, states=True, lengths=True)
    x, given, initial = numbers(2, 9, 4, 3, dtype=dtype), {}, []
    leaves = {"0.": stack.layers[0].forward, "0.reverse.": stack.layers[0].reverse}
    leaves |= {"1.": stack.layers[1], "2.": stack.layers[2]}
    for k, (prefix, leaf) in enumerate(leaves.items()):
        states = {n: numbers(k + 20, 4, leaf.widths[n], dtype=dtype) for n in leaf.cell.contract.states}
        given |= {f"initial.{prefix}{name}": array for name, array in states.items()}
        initial.append(states)
    run = stack(x, [initial[:2], *initial[2:]], lengths=LENGTHS)
    runs = [run.layers[0].forward, run.layers[0].reverse, *run.layers[1:]]
    wanted = {f"final.{prefix}{n}": array for prefix, each in zip(leaves, runs) for n, array in each.final.items()}
    assert_close(call(session, x=x, lengths=LENGTHS, **given), {"y": run.y, **wanted}, dtype)


def test_a_stream_goes_on_from_the_final_states(tmp_path):
    stack = Recurrent("ran", 3, 6, num_layers=2, seed=1)
    session, x = session_of(stack, tmp_path, states=True), numbers(2, 9, 2, 3)
    states = {each.name: np.zeros((2, 6), "float32") for each in session.get_inputs() if each.name != "x"}
    out = []
    for chunk in (x[:1], x[1:6], x[6:]):
        found = call(session, x=chunk, **states)
        out.append(found.pop("y"))
        states = {name.replace("final", "initial"): array for name, array in found.items()}
    np.testing.assert_allclose(np.concatenate(out), stack(x).y, rtol=0, atol=1e-5)


def test_aux_of_two_directions_is_in_the_order_of_x(tmp_path):
    both = Recurrent("time_aware_lstm", 3, 5, bidirectional=True, batch_first=True, seed=1)
    x, dt = numbers(2, 4, 9, 3), np.abs(numbers(3, 4, 9, 1))
    layer = both.layers[0] if isinstance(both, Stack) else both
    y = layer(x, aux=[{"dt": dt}, {"dt": dt[:, ::-1].copy()}], lengths=LENGTHS).y
    session = session_of(layer, tmp_path, lengths=True)
    given = {"aux.dt": dt, "aux.reverse.dt": dt[:, ::-1].copy(), "lengths": LENGTHS}
    assert_close(call(session, x=x, **given), {"y": y}, "float32")


class ByHand(Cell):
    """A cell with a forward function that is not a formula."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        return {"h": np.sin(np.cumsum(z.a, axis=1))}

    def backward(d, y, prev):
        return {"a": d.h}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: pylstm.Linear(3, 2), "model must be a recurrent layer, .*, got Linear"),
        (lambda: Recurrent, "got type"),
        (lambda: Recurrent(ByHand, 3, 4, certified=False), "the cell 'byhand' cannot be exported: .*cumsum"),
    ],
)
def test_what_cannot_be_exported_is_refused(model, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        ours.export(model(), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_arguments_are_checked(tmp_path):
    layer = layer_of("gru", "float32")
    for options in ({"dtype": "float16"}, {"states": "yes"}, {"lengths": 2}):
        with pytest.raises(TypeError, match=next(iter(options))):
            ours.export(layer, tmp_path / "net.onnx", **options)
    with pytest.raises(TypeError, match=r"got NoneType: pylstm.interop.onnx.export\(model, path\) writes a file"):
        ours.export(layer, None)
    with pytest.raises(FileNotFoundError, match="does not exist: create it"):
        ours.export(layer, tmp_path / "none" / "net.onnx")


def test_the_door_does_not_import_onnx():
    code = "import sys, pylstm.interop.onnx as door; door.CELLS; print({'onnx', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_weights_that_are_not_finite_are_refused(tmp_path):
    layer, model = pylstm.LSTM(3, 5, dtype="float64", seed=0), pylstm.SequenceModel("gru", 3, 4, 1, seed=0)
    layer.params["weight_x"][1, 2] = 1e300
    with pytest.raises(ValueError, match="weight_x holds values that are not finite in float32: train the net anew"):
        ours.export(layer, tmp_path / "a.onnx", dtype="float32")
    ours.export(layer, tmp_path / "b.onnx")
    model.head.params["weight"][0, 1] = np.nan
    with pytest.raises(ValueError, match="weight holds values that are not finite in float32"):
        ours.export(model, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
