"""Wrong things handed to public functions: what is wrong, what came, what to do."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pylstm
from pylstm.layers import initialisers

LSTM = pylstm.LSTM(2, 3, seed=0)
X = np.ones((5, 2, 2), "float32")
STACK = pylstm.LSTM(2, 3, num_layers=2, seed=0)


@pytest.mark.parametrize("wrong", [None, "ab", 3, {"h": 1}, [1, 2], STACK.stream().snapshot(), LSTM])
def test_restore_of_a_stream(wrong):
    stream = LSTM.stream()
    stream.step(np.ones(2, "float32"))
    before = stream.snapshot().states
    with pytest.raises(
        TypeError, match=rf"restore takes a Snapshot, .*stream\.snapshot\(\) returns, got {type(wrong).__name__}"
    ):
        stream.restore(wrong)
    assert stream.snapshot().states == before


@pytest.mark.parametrize("wrong", [None, "ab", 3, {"h": 1}, [1, 2], LSTM.stream().snapshot(), [None, None]])
def test_restore_of_the_stream_of_a_stack(wrong):
    stream = STACK.stream()
    stream.step(np.ones(2, "float32"))
    before = [each.states for each in stream.snapshot()]
    message = r"restore takes a list of 2 Snapshots, .*stream\.snapshot\(\) of the same stack returns, got "
    with pytest.raises(TypeError, match=message):
        stream.restore(wrong)
    with pytest.raises(ValueError, match=r"restore takes a list of 2 Snapshots, .* got 3"):
        stream.restore([*stream.snapshot(), LSTM.stream().snapshot()])
    assert [each.states for each in stream.snapshot()] == before


@pytest.mark.parametrize("wrong", [None, "ab", 3, LSTM])
def test_state_of_the_stream_of_a_stack(wrong):
    message = rf"state must be a list with one entry for each layer.*got {type(wrong).__name__}"
    with pytest.raises(TypeError, match=message):
        STACK.stream().state = wrong


@pytest.mark.parametrize("array", [3, np.zeros((1, 1, 3)), np.zeros((3, 1, 3))])
def test_state_of_the_stream_of_a_stack_by_name(array):
    with pytest.raises(ValueError, match=r"state\['h'\] must have 2 layers along its first axis, got shape"):
        STACK.stream().state = {"h": array, "c": np.zeros((2, 1, 3), "float32")}


@pytest.mark.parametrize("path", ["x.safetensors", b"x.safetensors"])
@pytest.mark.parametrize("model", [LSTM, STACK, pylstm.SequenceModel("gru", 2, 3, 1, seed=0), {"a": LSTM}])
def test_save_with_its_arguments_the_other_way_round(path, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=re.escape("save takes the path first: save(path, model)")):
        pylstm.save(model, path)
    with pytest.raises(TypeError, match=re.escape("save takes the path first: save(path, model)")):
        pylstm.save(model, tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", [pylstm.certify, lambda cell: pylstm.audit(cell, lambda d: {}), pylstm.register])
@pytest.mark.parametrize("cell", ["lstm", 3, None, pylstm.Cell, LSTM, dict])
def test_a_cell_is_a_class(call, cell):
    with pytest.raises(TypeError, match=r"subclass of pylstm\.Cell, got |is a layer, not a cell: ") as caught:
        call(cell)
    if cell == "lstm":
        assert "pylstm.plugins.registry().get(name) returns the class of a name that" in str(caught.value)


@pytest.mark.parametrize("seed", [True, False, np.True_, -1, 1.5, "0"])
@pytest.mark.parametrize(
    "make",
    [
        lambda seed: pylstm.LSTM(2, 3, seed=seed),
        lambda seed: pylstm.LSTM(2, 3, num_layers=2, seed=seed),
        lambda seed: pylstm.Linear(2, 3, seed=seed),
        lambda seed: pylstm.MLP(2, (3,), 1, seed=seed),
        lambda seed: pylstm.Embedding(2, 3, seed=seed),
        lambda seed: pylstm.SequenceModel("gru", 2, 3, 1, seed=seed),
        lambda seed: pylstm.ForecastModel(seed=seed).fit(np.arange(60.0)),
        lambda seed: LSTM.initialise("orthogonal", seed=seed),
    ],
)
def test_a_seed_is_an_integer(make, seed):
    with pytest.raises(
        (TypeError, ValueError), match=f"seed must be an integer of 0 or more, got {re.escape(repr(seed))}"
    ):
        make(seed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "number", [np.nan, np.inf, -np.inf, 10**400, np.float32("nan"), 0, 0.0], ids=lambda each: f"{each!r:.9}"
)
def test_parameters_are_scaled_by_finite_numbers(dtype, number):
    params = pylstm.LSTM(2, 3, dtype=dtype, seed=0).params
    before = params.flat.copy()
    calls = [lambda: params / number, lambda: params.__itruediv__(number)]
    error, words = ZeroDivisionError, "Parameters cannot be divided by 0"
    if number != 0:
        calls += [lambda: params * number, lambda: number * params, lambda: params.__imul__(number)]
        error, words = ValueError, rf"finite number of {dtype}, got {re.escape(repr(number)[:200])}"
    for call in calls:
        with pytest.raises(error, match=words):
            call()
    assert np.array_equal(params.flat, before)


def test_parameters_are_scaled_by_numbers_of_their_dtype():
    single, double = (pylstm.LSTM(2, 3, dtype=dtype, seed=0).params for dtype in ("float32", "float64"))
    with pytest.raises(ValueError, match=r"finite number of float32, got 1e\+39"):
        single * 1e39
    assert np.array_equal((double * 1e39).flat, double.flat * 1e39) and not (single * 0).flat.any()


def test_the_cure_for_a_name_works():
    assert pylstm.certify(pylstm.plugins.registry().get("lstm")).ok


@pytest.mark.parametrize("rows", [[[0]], [[True, False]], np.zeros((1, 1), int)])
@pytest.mark.parametrize("net", [LSTM, STACK])
def test_rows_of_two_axes(net, rows):
    stream = net.stream(2)
    with pytest.raises(ValueError, match=r"rows (must be one index, a list of indices or a mask|as a mask must have)"):
        stream.reset(rows)


@pytest.mark.parametrize("wrong", [True, False])
def test_a_bool_is_not_a_number(wrong):
    for make in (
        lambda: pylstm.SGD(LSTM.params, wrong),
        lambda: pylstm.SGD(LSTM.params, 0.1, momentum=wrong),
        lambda: pylstm.Adam(LSTM.params, lr=wrong),
        lambda: pylstm.Adam(LSTM.params, betas=(wrong, 0.9)),
        lambda: pylstm.RMSProp(LSTM.params, momentum=wrong),
        lambda: pylstm.LSTM(2, 3, 2, dropout=wrong),
        lambda: pylstm.clip_by_norm(LSTM.params.copy(), wrong),
        lambda: pylstm.optim.Plateau(0.1, factor=wrong),
        lambda: pylstm.huber(np.ones((2, 1)), np.ones((2, 1)), delta=wrong),
    ):
        with pytest.raises((TypeError, ValueError), match=rf"must be .*, got .*{wrong}"):
            make()
    sgd = pylstm.SGD(LSTM.params, 0.1, momentum=0.9)
    for name in ("lr", "momentum"):
        with pytest.raises(TypeError, match=rf"{name} must be a number, got {wrong}"):
            sgd.load_state_dict(sgd.state_dict() | {name: wrong})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("last", [False, True])
def test_no_file_is_replaced_by_one_that_load_refuses(value, last, tmp_path):
    path, layer = tmp_path / "net", pylstm.LSTM(2, 3, seed=0)
    pylstm.save(path, layer)
    before = path.read_bytes()
    layer.params.flat[-1 if last else 0] = value
    name = "bias" if last else "weight_x"
    for thing in (layer, {"net": layer}, pylstm.SequenceModel.of(layer, 1)):
        with pytest.raises(
            ValueError, match=rf"save: parameter '.*{name}' holds {value}: save\(path, model, allow_non"
        ):
            pylstm.save(path, thing)
    assert path.read_bytes() == before
    pylstm.save(path, layer, allow_nonfinite=True)
    found = pylstm.load(path, allow_nonfinite=True)
    assert np.array_equal(found.params.flat, layer.params.flat, equal_nan=True)


@pytest.mark.parametrize("weights", [np.zeros(4, "f4"), np.zeros((4, 1), "f4")])
def test_weights_that_are_all_0_are_warned_of(weights):
    model, x, y = pylstm.SequenceModel("gru", 2, 3, 1, seed=0), np.ones((4, 5, 2), "f4"), np.ones((4, 1), "f4")
    before = model.params[0].flat.copy()
    with pytest.warns(UserWarning, match="all weights are 0: the loss is 0, and nothing is learnt") as caught:
        pylstm.fit(model, (x, y, weights), epochs=1)
    assert caught[0].filename == __file__ and np.array_equal(model.params[0].flat, before)
    pylstm.fit(model, (x, y, np.array([0, 1, 0, 0], "f4")), epochs=1)


RAGGED = [[1.0, 2.0], [1.0]]
Y = np.ones((2, 2), "float32")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pylstm.mean_squared_error(Y, RAGGED), r"target: rows of .*: pad them .* weight 0, weights=$"),
        (lambda: pylstm.sigmoid_cross_entropy(Y, RAGGED), r"targets: rows of .*: pad them .* weight 0, weights=$"),
        (lambda: pylstm.quantile_loss(Y, RAGGED, quantiles=[0.5]), r"target: rows of .*: pad them .* weights=$"),
        (
            lambda: pylstm.softmax_cross_entropy(np.zeros((5, 2, 4)), [[1, 2], [3]]),
            r"targets: rows of .*: pad them .* weight 0, weights=$",
        ),
        (
            lambda: pylstm.ctc_loss(np.zeros((5, 2, 4)), [[1, 2], [3]]),
            r"targets: rows of .*: pad them .* with any label, target_lengths=\[2, 1, \.\.\.\]",
        ),
        (lambda: LSTM(X).backward(RAGGED), r"dy: rows of .*: give dy the shape of run\.y"),
        (lambda: pylstm.mean_squared_error(Y, Y, weights=RAGGED), r"weights: rows of .*: give them the shape of"),
        (
            lambda: pylstm.Linear(1, 2).params.update({"weight": RAGGED}),
            r"parameter 'weight': rows of .* as many numbers",
        ),
        (lambda: LSTM([[[1.0, 2.0]], [[1.0, 2.0]] * 2]), r"x: rows of .*pylstm\.Sequences\.of"),
    ],
)
def test_rows_of_unequal_lengths(call, message):
    """Not every argument is a sequence."""
    with pytest.raises(ValueError, match=message):
        call()


WORDS = pylstm.text.CharModel(pylstm.datasets.Vocabulary("ab"), "gru", 4, embedding_size=3)
MANY = pylstm.datasets.Vocabulary(map(chr, range(200, 500)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: WORDS.generate(None), TypeError, "length must be an integer, got None"),
        (lambda: WORDS.generate(2.5), TypeError, r"length must be an integer, got 2\.5"),
        (lambda: WORDS.generate(-1), ValueError, "length must be at least 0, got -1"),
        (
            lambda: WORDS.logits([1, 2]),
            ValueError,
            r"indices must have shape \(T, B\), got \(2,\): .*indices\[:, None\]",
        ),
        (lambda: WORDS.bits([1, 2], [2, 1]), ValueError, r"indices must have shape \(T, B\), got \(2,\)"),
        (lambda: MANY.encode("ab", 3), TypeError, "dtype must be one of integers, such as 'int64', got 3"),
        (lambda: MANY.encode("ab", "float32"), TypeError, "dtype must be one of integers, .* got float32"),
        (lambda: MANY.encode("ab", "int8"), ValueError, "dtype int8 does not hold the 301 indices: uint16 does"),
        (lambda: LSTM.params.around(None), TypeError, r"flat must be an array \(\d+,\) of float32, got a NoneType"),
        (lambda: LSTM.params.move_to([1.0]), TypeError, r"flat must be an array \(\d+,\) of float32, got a list"),
        (lambda: LSTM.params.around(np.ones(3)), ValueError, r"flat must be an array .* got \(3,\) of float64"),
        (lambda: LSTM.params.same_layout(3), TypeError, "other must be Parameters, got an int"),
        (lambda: pylstm.stop_gradient("abc"), TypeError, "x must be a number or an array, got 'abc'"),
        (lambda: pylstm.cells.filled("abc", np.ones(2)), TypeError, "filled: value must be an array .* got 'abc'"),
        (lambda: pylstm.building.compile_args(["v1"]), ValueError, r"level must be one of .* got \['v1'\]"),
        (lambda: pylstm.datasets.read_table(0), TypeError, "path must be a str, bytes or path, got int: name the file"),
        (lambda: pylstm.datasets.read_text(0), TypeError, "path must be a str, bytes or path, got int: name the file"),
        (
            lambda: initialisers.initialise(LSTM, ["zeros"]),
            ValueError,
            r"initialiser must be one of .* got \['zeros'\]",
        ),
        (
            lambda: pylstm.plots.draw_confusion(None, np.ones((2, 2)), "ab"),
            TypeError,
            r"axes must be axes of a figure, figure\.subplots\(\), got None",
        ),
    ],
)
def test_a_wrong_value(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_derivatives_of_lists_and_numbers():
    """As the functions do that they are the derivatives of."""
    cells = pylstm.cells
    np.testing.assert_array_equal(cells.dsigmoid_from_y([0.5, 1.0]), [0.25, 0])
    np.testing.assert_array_equal(cells.dtanh_from_y([0.5, 1.0]), [0.75, 0])
    np.testing.assert_array_equal(cells.drelu_from_y([0.5, 0.0]), [1, 0])
    assert cells.drelu_from_y(3.0) == 1 and cells.drelu_from_y(3.0).dtype == "float64"
    np.testing.assert_array_equal(cells.row_sum([[1.0, 2.0]]), [[3.0]])


@pytest.mark.parametrize("estimator", ["SequenceClassifier", "SequenceRegressor"])
@pytest.mark.parametrize(
    ("X", "y", "weights", "error", "message"),
    [
        (3, [0, 1], None, ValueError, r"X must be sequences, .* got 3"),
        (np.ones((2, 4)), 3, None, ValueError, "y must have one target for each sequence, got 3"),
        (np.ones((2, 4)), "ab", None, ValueError, "y must have one target for each sequence, got 'ab'"),
        (np.ones((2, 4)), [0, 1], "ab", TypeError, "sample_weight must be numbers, one for each sequence, got 'ab'"),
    ],
)
def test_a_fit_with_a_number_or_a_text(estimator, X, y, weights, error, message):
    pytest.importorskip("sklearn")
    with pytest.raises(error, match=message):
        getattr(pylstm, estimator)(epochs=1).fit(X, y, weights)


@pytest.mark.filterwarnings("ignore:in the back-test")
@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("3", TypeError)])
def test_an_interval_of_no_steps(n, error):
    model = pylstm.ForecastModel(combine=True, hidden_size=2, cycle=12)
    model.fit(np.sin(np.arange(60.0)), epochs=1, validation=0.2)
    with pytest.raises(error, match="n must be "):
        model.predict_interval(n)
