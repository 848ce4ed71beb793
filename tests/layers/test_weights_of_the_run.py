"""What reads the weights of a layer after a run refuses those that are not the run's, to the last bit."""

import numpy as np
import pytest

import pylstm
import structured_cells as sc
from pylstm import plugins
from pylstm.diagnostics import gradient_by_lag, lyapunov_spectrum
from pylstm.layers.runs.unchanged import check_unchanged

pytestmark = pytest.mark.once

BUNDLED = {entry.cell.name: entry.cell for entry in plugins.registry().entries()}
CHANGED = "parameters have changed since this run"
READERS = {
    "jvp": lambda run: run.jvp(np.ones((*run.y.shape[:-1], 3), run.y.dtype)).y,
    "hvp": lambda run: run.hvp(np.ones_like(run.y), direction={"dx": np.ones((*run.y.shape[:-1], 3), run.y.dtype)}).x,
    "jacobians": lambda run: run.jacobians(),
    "lyapunov_spectrum": lyapunov_spectrum,
    "gradient_by_lag": lambda run: gradient_by_lag(run, np.ones_like(run.y)).params,
}


def made(cell, **options):
    contract = cell.contract
    sizes = {each: 4 for each, usual in contract.sizes.items() if usual is None}
    layer = pylstm.Recurrent(cell, 3, 8, dtype="float64", seed=0, certified=False, **sizes, **options)
    aux = {name: np.full((6, 2, layer.widths[name]), 0.5) for name in contract.aux if name != "x"}
    return layer, {"aux": aux} if aux else {}


def seen(layer, run):
    """Every parameter, its first element and its last: changed by one bit, and set back."""
    for name, array in layer.params.items():
        for at in (0, -1):
            before = layer.params.flat.copy()
            array.flat[at] = np.nextafter(array.flat[at], np.inf, dtype=array.dtype)
            assert (layer.params.flat != before).any(), name
            with pytest.raises(RuntimeError, match=CHANGED):
                check_unchanged(run)
            layer.params.flat[...] = before
            check_unchanged(run)


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_one_bit_of_every_parameter_of_every_cell(name):
    x = np.zeros((6, 2, 3))
    for options in ({}, {"learn_initial": True}):
        layer, aux = made(BUNDLED[name], **options)
        seen(layer, layer(x, **aux))


@pytest.mark.parametrize("kind", sorted(sc.ALL))
def test_matrices_that_are_made_of_parameters(kind):
    layer = pylstm.Recurrent(sc.structured(kind), 3, 8, dtype="float64", seed=0)
    seen(layer, layer(np.zeros((6, 2, 3))))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("B, H", [(1, 96), (32, 24), (3, 160), (2, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layout_of_the_weights(dtype, B, H, threads, same_number_of_threads):
    pylstm.set_num_threads(threads)
    layer, x = pylstm.LSTM(3, H, dtype=dtype, seed=0, learn_initial=True), np.zeros((70, B, 3), dtype)
    for options in ({}, {"lengths": [70, *[2] * (B - 1)]}, {"reset": np.eye(70, B) > 0}):
        seen(layer, layer(x, **options))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_silence_hides_no_change(cell, reader):
    read, rng = READERS[reader], np.random.default_rng(0)
    for bias, silent in ((False, 60), (False, 40), (True, 60)):
        layer = pylstm.Recurrent(cell, 3, 4, bias=bias, dtype="float64", seed=0)
        x = rng.normal(size=(60, 2, 3))
        x[:silent] = 0
        run, whole = layer(x), layer.params.flat.copy()
        with np.errstate(divide="ignore"):
            before = read(run)
        layer.params["weight_x"][...] *= 3
        with pytest.raises(RuntimeError, match=rf"{CHANGED}.*run = layer\(x\)"):
            read(run)
        layer.params.flat[...] = whole
        layer.params["weight_h"][...] += 1e-8
        with pytest.raises(RuntimeError, match=CHANGED):
            read(run)
        layer.params.flat[...] = whole  # there and back
        assert (read(run) == before).all()


@pytest.mark.parametrize("reader", READERS)
def test_a_step_of_an_optimiser_in_float32(reader):
    layer = pylstm.LSTM(3, 4, seed=0)
    run = layer(np.random.default_rng(0).normal(size=(20, 2, 3)).astype("float32"))
    grads = run.backward(np.ones_like(run.y))
    pylstm.SGD(layer.params, 1e-5).step(grads.params)
    with pytest.raises(RuntimeError, match=CHANGED):
        READERS[reader](run)


@pytest.mark.parametrize("reader", [name for name in READERS if name != "lyapunov_spectrum"])
def test_a_learned_state_that_only_a_reset_reads(reader):
    layer, x = pylstm.GRU(3, 4, dtype="float64", seed=0, learn_initial=True), np.zeros((60, 2, 3))
    run = layer(x, {"h": np.ones((2, 4))}, reset=np.arange(60)[:, None] == [45, 45])
    layer.params["initial_h"] += 1
    with pytest.raises(RuntimeError, match=CHANGED):
        READERS[reader](run)
    free = layer(x, {"h": np.ones((2, 4))})
    layer.params["initial_h"] += 1
    READERS[reader](free)  # which the run has not read


@pytest.mark.parametrize("form", [{"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("reader", ["jvp", "hvp"])
def test_layers_made_of_layers(reader, form):
    layer = pylstm.LSTM(3, 4, bias=False, dtype="float64", seed=0, **form)
    run = layer(np.zeros((6, 2, 3)))
    before = READERS[reader](run)
    for name, array in layer.params.items():
        kept = array.copy()
        array[...] *= 3
        with pytest.raises(RuntimeError, match=CHANGED):
            READERS[reader](run)
        array[...] = kept
        assert (READERS[reader](run) == before).all(), name


def test_nothing_is_read_without_steps_or_rows():
    layer = pylstm.LSTM(3, 4, seed=0)
    for shape in ((0, 2, 3), (5, 0, 3)):
        run = layer(np.zeros(shape, "float32"))
        layer.params["weight_h"] *= 2
        assert run.jvp(np.zeros(shape, "float32")).y.shape == run.y.shape
