"""Tables of the pages for those who come from another library: all code of their rows runs, on either side.

Where the third column begins with "equal", the last piece of code of either side has the same numbers.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm.layers.initialisers import uniform

DOCS = Path(__file__).resolve().parents[1] / "docs"
T, B, I, H, K, V = 7, 4, 3, 5, 2, 9
LENGTHS = [3, 7, 5, 2]
PAGES = {
    "from-pytorch": "PyTorch",
    "from-keras": "Keras",
    "from-jax": "JAX",
    "from-sktime": "sktime",
    "rtneural": "RTNeural",
}
"""Page -> what the first column of its tables is headed by."""
ROWS_AT_LEAST = {"from-pytorch": 50, "from-keras": 45, "from-jax": 40, "from-sktime": 20, "rtneural": 10}
EQUAL_AT_LEAST = {"from-pytorch": 21, "from-keras": 15, "from-jax": 18, "from-sktime": 10, "rtneural": 0}
SKTIME = {
    "LinearRegression": "sklearn.linear_model",
    "load": "sktime.base",
    "SummaryClassifier": "sktime.classification.feature_based",
    "ForecastingHorizon": "sktime.forecasting.base",
    "make_reduction": "sktime.forecasting.compose",
    "evaluate": "sktime.forecasting.model_evaluation",
    "NaiveForecaster": "sktime.forecasting.naive",
    "ExpandingWindowSplitter": "sktime.split",
    "SlidingWindowSplitter": "sktime.split",
    "temporal_train_test_split": "sktime.split",
    "Deseasonalizer": "sktime.transformations.series.detrend",
    "Differencer": "sktime.transformations.series.difference",
    "SktimeClassifier": "pylstm.estimators.sktime",
    "SktimeForecaster": "pylstm.estimators.sktime",
}
"""Name -> where it is imported from."""
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:The default of config ``remember_data``:FutureWarning"),  # sktime
    pytest.mark.filterwarnings("ignore:in the back-test"),
]


def rows_of(page):
    """Line, their code, our code and the remark of every row of the page's tables."""
    found, inside = [], False
    for number, line in enumerate((DOCS / f"{page}.md").read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not line.startswith("| "):
            inside = inside and line.startswith("|-")
        elif not inside:
            inside = cells[:2] == [PAGES[page], "pylstm"]
        else:
            theirs, ours, *remark = cells
            if ours == "not here":
                continue
            code = [re.findall(r"`([^`]+)`", cell) for cell in (theirs, ours)]
            found.append((number, *code, remark[0].rstrip("|").strip() if remark else ""))
    return found


ROWS = [(page, *row) for page in PAGES if (DOCS / f"{page}.md").exists() for row in rows_of(page)]
EQUAL = [row for row in ROWS if row[-1].startswith("equal")]


def named(rows):
    return {"argvalues": rows, "ids": [f"{page}:{line}" for page, line, *_ in rows]}


def value_of(code, names):
    """Run `code`, and return the value of its last expression."""
    if re.fullmatch(r"\w+=\S.*", code):
        raise AssertionError(f"{code}: write the call that takes the argument, so that this test can see it")
    *before, last = ast.parse(code).body
    is_value = isinstance(last, ast.Expr)
    exec(compile(ast.Module(before if is_value else [*before, last], []), code, "exec"), names)
    return eval(compile(ast.Expression(last.value), code, "eval"), names) if is_value else None


def run(pieces, names):
    value = None
    for code in pieces:
        value = value_of(code, names)
    return value


def numbers(value):
    """A value of any library as an array."""
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    elif hasattr(value, "numpy") and not hasattr(value, "index"):
        value = value.numpy()
    elif isinstance(value, list | tuple):
        value = [numbers(each) for each in value]
    return np.asarray(value)


def data(dtype, batch_first):
    """Arrays under the names of the pages."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, T, I) if batch_first else (T, B, I)).astype(dtype)
    rows = [rng.normal(size=(n, I)).astype(dtype) for n in LENGTHS]
    begins, mask, holes = np.zeros(x.shape[:2], bool), np.ones((B, T), bool), np.ones((B, T), bool)
    begins[2, 1] = True
    holes[1, 2] = holes[0, 4] = False
    for k, n in enumerate(LENGTHS):
        mask[k, n:] = False
    out, target = (rng.normal(size=(B, K)).astype(dtype) for _ in range(2))
    shared = {"x": x, "dy": rng.normal(size=(*x.shape[:2], H)).astype(dtype), "out": out, "target": target}
    shared |= {"dz": rng.normal(size=(*x.shape[:2], 2 * H)).astype(dtype), "bits": (target > 0).astype(dtype)}
    shared |= {"h_0": 0.5 * rng.normal(size=(1, B, H)).astype(dtype), "c_0": rng.normal(size=(1, B, H)).astype(dtype)}
    shared |= {"scores": out, "labels": np.arange(B) % K, "var": np.exp(target), "rows": rows}
    shared |= {"mask": mask, "holes": holes, "v": rng.normal(size=x.shape).astype(dtype), "w": np.ones(8, dtype)}
    shared |= {"xs": rng.normal(size=(8, T, I)).astype(dtype), "ys": rng.normal(size=(8, K)).astype(dtype)}
    shared |= {"frames": rng.normal(size=(T, B, V)).astype(dtype), "marks": 1 + np.arange(2 * B).reshape(B, 2) % 8}
    return shared | {"steps": np.array([T] * B), "sizes": np.array([2] * B), "begins": begins, "lengths": LENGTHS}


def ours(dtype, batch_first, folder):
    """The names of the second column."""
    common = {"dtype": dtype, "batch_first": batch_first}
    lstm, gru, rnn = (kind(I, H, seed=k, **common) for k, kind in enumerate((pylstm.LSTM, pylstm.GRU, pylstm.RNN)))
    deep = pylstm.GRU(I, H, 2, bidirectional=True, seed=3, **common)
    both = pylstm.LSTM(I, H, bidirectional=True, seed=4, **common)
    for layer in (lstm, gru, rnn, deep, both):
        uniform(layer, 0.7, seed=5)
    model = pylstm.SequenceModel("lstm", I, H, K, dtype=dtype, seed=0)
    saved = folder / "saved.safetensors"
    pylstm.save(saved, lstm)
    names = {
        "pylstm": pylstm,
        "np": np,
        "lstm": lstm,
        "gru": gru,
        "rnn": rnn,
        "deep": deep,
        "both": both,
        "model": model,
    }
    names |= {"optimiser": pylstm.Adam(lstm.params), "path": folder / "file", "saved": saved}
    return names | data(dtype, batch_first) | {"T": T, "B": B, "I": I, "H": H, "K": K, "V": V}


def of_pytorch(mine):
    """The names of the first column, with the weights of the second."""
    torch = pytest.importorskip("torch")
    functional, data_of, rnn = torch.nn.functional, torch.utils.data, torch.nn.utils.rnn
    given = {name: torch.from_numpy(each.copy()) for name, each in mine.items() if isinstance(each, np.ndarray)}
    for name in ("x", "h_0", "c_0"):
        given[name].requires_grad_()

    def weighed(layer, module, **options):
        state = pylstm.interop.torch.state_dict(layer, **options)
        module.load_state_dict({key: torch.from_numpy(each) for key, each in state.items()})
        return module

    double = {"dtype": torch.float64}
    lstm = weighed(mine["lstm"], torch.nn.LSTM(I, H, **double))
    deep = weighed(mine["deep"], torch.nn.GRU(I, H, 2, bidirectional=True, **double))
    cell = weighed(mine["lstm"], torch.nn.LSTMCell(I, H, **double), cell=True)
    saved = mine["path"].parent / "saved.pt"
    torch.save(lstm.state_dict(), saved)
    names = {"torch": torch, "nn": torch.nn, "F": functional, "lstm": lstm, "deep": deep, "cell": cell, "saved": saved}
    names |= {"DataLoader": data_of.DataLoader, "TensorDataset": data_of.TensorDataset}
    names |= {name: getattr(rnn, name) for name in ("pack_padded_sequence", "pad_packed_sequence", "pad_sequence")}
    names |= {"checkpoint": torch.utils.checkpoint.checkpoint, "optimizer": torch.optim.Adam(lstm.parameters())}
    names |= {"rows": [torch.from_numpy(each) for each in mine["rows"]], "loss": lstm(given["x"])[0].sum()}
    return {**mine, **given, **names}


def of_keras(mine):
    """The names of the first column, with the weights of the second."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(mine["path"].parent))
        keras = pytest.importorskip("keras")
    layers, weights = keras.layers, pylstm.interop.keras.get_weights

    def weighed(layer, values):
        layer.build((None, T, I))
        layer.set_weights(values)
        return layer

    kinds = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}
    found = {name: weighed(kind(H, return_sequences=True), weights(mine[name])) for name, kind in kinds.items()}
    both = layers.Bidirectional(layers.LSTM(H, return_sequences=True))
    net = keras.Sequential([keras.Input((T, I)), layers.LSTM(H), layers.Dense(K)])
    head = mine["model"].head.params
    net.set_weights([*weights(mine["model"].layer), head["weight"].T, head["bias"]])
    net.compile("adam", "mse")
    names = {"keras": keras, "layers": layers, "net": net, "both": weighed(both, weights(mine["both"]))}
    return {**mine, **names, **found}


def of_jax(mine):
    """The names of the first column, with the weights of the second."""
    nnx, jax, optax = pytest.importorskip("flax.nnx"), pytest.importorskip("jax"), pytest.importorskip("optax")
    nn, flax = pytest.importorskip("flax.linen"), pylstm.interop.flax
    cell = nnx.OptimizedLSTMCell(I, H, rngs=nnx.Rngs(0))
    nnx.update(cell, flax.params(mine["lstm"], layout="nnx"))
    lstm, dy = nnx.RNN(cell), mine["dy"]

    gru, tree = nn.RNN(nn.GRUCell(H)), {"params": {"cell": flax.params(mine["gru"])}}

    def g(x):
        return gru.apply(tree, x)

    names = {"jax": jax, "jnp": jax.numpy, "nnx": nnx, "nn": nn, "optax": optax, "cell": cell, "lstm": lstm}
    names |= {"gru": gru, "tree": tree}
    names |= {"rngs": nnx.Rngs(0), "g": g, "f": lambda x: (g(x) * dy).sum(), "carry": mine["c_0"][0]}
    return {**mine, **names, "begins": mine["begins"][:, 0, None]}


def series():
    """The names of the second column of sktime's page."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    rng, months = np.random.default_rng(0), pd.period_range("2001-01", periods=123, freq="M")
    t = np.arange(120)
    y = pd.Series(50 + 0.2 * t + 8 * np.sin(t * np.pi / 6) + rng.normal(size=120), months[:120])
    X = pd.DataFrame({"price": rng.normal(size=123)}, index=months)
    net, with_inputs = (pylstm.Forecaster("gru", 4, epochs=1, random_state=0) for _ in range(2))
    classifier = pylstm.SequenceClassifier("gru", 4, epochs=1, random_state=0)
    labels = np.arange(20) % 2
    panel = rng.normal(size=(20, 9, 2)) + labels[:, None, None]
    names = {"y": y, "X": X, "net": net.fit(y), "with_inputs": with_inputs.fit(y, X[:-3]), "panel": panel}
    return names | {"labels": labels, "classifier": classifier, "pylstm": pylstm, "pd": pd}


def of_sktime(mine):
    """The names of the first column: the same estimators within the adapters."""
    pytest.importorskip("sktime")
    kinds = {name: getattr(importlib.import_module(module), name) for name, module in SKTIME.items()}
    adapted = kinds["SktimeForecaster"](pylstm.Forecaster("gru", 4, epochs=1, random_state=0)).fit(mine["y"])
    kinds |= {"Forecaster": pylstm.Forecaster, "SequenceClassifier": pylstm.SequenceClassifier, "adapted": adapted}
    return {**mine, **kinds, "panel": mine["panel"].swapaxes(1, 2)}


def chains(folder):
    """The names of the second column of RTNeural's page."""
    from pylstm.interop import rtneural

    model = pylstm.SequenceModel("lstm", 1, 8, 1, read="every", seed=0)
    rtneural.save(model, folder / "given.json")
    names = {"model": model, "chain": rtneural.load(folder / "given.json"), "file": folder / "given.json"}
    return names | {"rtneural": rtneural, "pylstm": pylstm, "folder": folder, "x": np.ones((100, 1), "float32")}


OTHERS = {
    "from-pytorch": ("float64", of_pytorch),
    "from-keras": ("float32", of_keras),
    "from-jax": ("float32", of_jax),
    "from-sktime": ("float64", of_sktime),
    "rtneural": ("float32", None),
}
"""Page -> the dtype of its numbers, and the names of its first column, if that is Python."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Names of the second column of a page, made anew for each row."""

    def names(page):
        folder = tmp_path_factory.mktemp("ports")
        if page == "rtneural":
            return chains(folder)
        if page == "from-sktime":
            return series() | {"path": folder / "net.safetensors"}
        return ours(OTHERS[page][0], page != "from-pytorch", folder)

    return names


@pytest.mark.parametrize("page", [page for page in PAGES if (DOCS / f"{page}.md").exists()])
def test_tables_are_found(page):
    found = rows_of(page)
    assert len(found) >= ROWS_AT_LEAST[page]
    assert sum(remark.startswith("equal") for *_, remark in found) >= EQUAL_AT_LEAST[page]
    assert all(mine for _, _, mine, _ in found)


@pytest.mark.parametrize(("page", "line", "theirs", "mine", "remark"), **named(ROWS))
def test_our_side_runs(page, line, theirs, mine, remark, made):
    run(mine, made(page))


@pytest.mark.parametrize(("page", "line", "theirs", "mine", "remark"), **named(ROWS))
def test_their_side_runs(page, line, theirs, mine, remark, made):
    if (names_of := OTHERS[page][1]) is not None:
        run(theirs, names_of(made(page)))


@pytest.mark.parametrize(("page", "line", "theirs", "mine", "remark"), **named(EQUAL))
def test_the_numbers_are_equal(page, line, theirs, mine, remark, made):
    names = made(page)
    expected = numbers(run(theirs, OTHERS[page][1](names)))
    found = numbers(run(mine, names))
    assert expected.shape == found.shape and expected.size
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[OTHERS[page][0]] * max(abs(expected).max(), 1))
