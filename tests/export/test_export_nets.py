"""`pylstm.export`: stacks, heads, embeddings, models and estimators; what is refused; how the file is used."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm import cli, export
from pylstm.cells import Cell, tanh
from pylstm.datasets import Vocabulary
from pylstm.forecasting import ForecastModel
from pylstm.models import ClassifyModel, SequenceModel
from pylstm.text import CharModel

ROOT = Path(__file__).resolve().parents[2]
BODIES = {
    "a residual stack": {"num_layers": 3, "residual": True},
    "an MLP of tanh": {"head_sizes": (7, 5), "activation": "tanh"},
    "an MLP of relu, dropout": {"head_sizes": (6,), "num_layers": 2, "dropout": 0.3},
}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 9, 3)) * 3 + 5


def models() -> dict[str, tuple]:
    """Name -> model, input of a sequence, what `predict` says of it."""
    found = {}
    x = RNG.standard_normal((40, 3)).astype("float32")
    for k, options in enumerate(BODIES.values()):
        for read in ("every", "last", "mean", "max"):
            model = SequenceModel("gru", 3, 6, 2, read=read, seed=1, **options)
            found[f"model{k}{read}"] = model, x, model.predict(x[None])[0]
    texts = SequenceModel("lstm", 4, 6, 2, read="every", vocabulary=11, seed=1)
    ids = RNG.integers(0, 11, 40).astype("int32")
    found["embedded"] = texts, ids, texts.predict(ids[None])[0]
    classes = ClassifyModel(["a", "b", "c */"], "gru", 5, seed=0)
    classes.fit(X, RNG.integers(0, 3, 20), epochs=1)
    found["classes"] = (
        classes,
        X[0],
        classes.net.predict(((X[:1] - classes.scale[0]) / classes.scale[1]).astype("f4"))[0],
    )
    letters = CharModel(Vocabulary("abc"), "lstm", 8, embedding_size=5)
    ids = RNG.integers(0, 4, 30).astype("int32")
    found["letters"] = letters, ids, letters.logits(ids[:, None])[0][:, 0]
    series = np.sin(np.arange(80) / 3) * 4 + 10
    forecast = ForecastModel("lstm", 5, horizon=2, window=80)
    forecast.fit(series, epochs=1)
    found["forecast"] = forecast, series, forecast.predict(2)
    learned = pylstm.LSTM(3, 5, seed=0, learn_initial=True, bias=False)
    learned.params["initial_c"][:] = [1, 2, 3, 4, 5]
    found["learned"] = learned, x, learned.stream().feed(x)
    mixed = pylstm.Stack([pylstm.Recurrent("sru", 3, 3, seed=0), pylstm.Recurrent("intersection_rnn", 3, 3, seed=1)])
    found["mixed"] = mixed, x, mixed.stream().feed(x)
    return found


@pytest.fixture(scope="module")
def nets():
    return models()


@pytest.fixture(scope="module", params=["gcc c", "clang header"])
def built(request, kit, fused, nets, tmp_path_factory):
    compiler, form = request.param.split()
    source = kit.write_all({name: net[0] for name, net in nets.items()}, tmp_path_factory.mktemp("nets"), form)
    flags = ["-DLSTM", "-O2", *([] if form == "c" else ["-mfma"])]
    library = kit.Built(source, kit.compiler(compiler), *flags)
    library.end = "" if form == "c" else "_"
    return library


def test_models_have_the_bits_of_predict(built, kit, nets):
    wrong = []
    for name, (_, x, right) in nets.items():
        assert built.start(name) == 0
        y = built.feed(x, np.empty((len(x), 2) if name == "forecast" else right.shape, right.dtype), name)
        wrong += [] if kit.same(y[-1] if name == "forecast" else y, right) else [name]
    assert wrong == []


@pytest.fixture
def one(kit, fused, tmp_path):
    """Builds one net."""

    def build(net, *flags, **options):
        return kit.Built(kit.write_all({"net": net}, tmp_path, **options), kit.compiler("gcc"), "-O2", *flags)

    return build


def test_estimators(kit, one):
    pytest.importorskip("sklearn")
    from pylstm.estimators import Forecaster, SequenceClassifier, SequenceRegressor

    regressor = SequenceRegressor(hidden_size=5, epochs=1).fit(X, RNG.standard_normal((20, 2)))
    library = one(regressor)
    assert library.start() == 0
    assert kit.same(library.feed(X[0], np.empty(2)), regressor.predict(X[:1])[0])
    classifier = SequenceClassifier(hidden_size=5, epochs=1, read="mean").fit(X, RNG.integers(0, 2, 20))
    library = one(classifier)
    assert library.start() == 0
    logits = library.feed(X[0], np.empty(2, "float32")).astype(float)
    odds = np.exp(logits) / np.exp(logits).sum()
    assert np.abs(odds - classifier.predict_proba(X[:1])[0]).max() < 1e-12
    series = np.sin(np.arange(80) / 3) * 4 + 10
    forecaster = Forecaster(hidden_size=5, epochs=1, combine=False, log=False, season=0, difference=0).fit(series)
    library = one(forecaster)
    assert library.start() == 0
    x = series[-forecaster.model_.window :]  # the steps that `predict` reads, then its own forecasts
    steps = [x := library.feed(x, np.empty((len(x), 1)))[-1] for _ in range(4)]
    assert kit.same(np.concatenate(steps), forecaster.model_.predict(4))
    with pytest.raises(ValueError, match="the SequenceRegressor is not fitted: call fit first"):
        export.c(SequenceRegressor(), "unfitted.c")


def test_another_dtype(kit, one):
    """That of an equal model."""
    layer, wide = pylstm.LSTM(3, 5, seed=0), pylstm.LSTM(3, 5, dtype="float64")
    wide.params.flat[...] = layer.params.flat
    assert kit.same(one(layer, dtype="float64").outputs(wide), kit.expected(wide))
    narrow = pylstm.LSTM(3, 5)
    wide.params.flat[...] = RNG.standard_normal(wide.params.size)
    narrow.params.flat[...] = wide.params.flat
    assert kit.same(one(wide, dtype="float32").outputs(narrow), kit.expected(narrow))


def test_states_are_set_and_reset(kit, fused, tmp_path):
    layer = pylstm.LSTM(3, 5, seed=0)
    export.c(layer, tmp_path / "net.c")
    (tmp_path / "all.c").write_text(
        '#include "net.c"\nvoid set(net_t *n, float h, float c);\nvoid set(net_t *n, float h, float c) {\n'
        "    for (int k = 0; k < 5; k++) { n->layer0.h[k] = h; n->layer0.c[k] = c; }\n}\n"
        "size_t size(void);\nsize_t size(void) { return NET_BYTES; }\n"
    )
    library = kit.Built(tmp_path / "all.c", kit.compiler("gcc"), "-O2")
    x, _ = kit.inputs(layer, 12)
    stream, y = layer.stream(), np.empty((12, 5), "float32")
    library.library.size.restype = ctypes.c_size_t
    assert library.library.size() == 4 * (8 + 8 + 4 * 8)
    assert library.start() == 0
    library.library.set.argtypes = [ctypes.c_void_p, ctypes.c_float, ctypes.c_float]
    library.library.set(kit.at(library.memory), 0.5, -2.0)
    stream.state = {"h": np.full((1, 5), 0.5, "float32"), "c": np.full((1, 5), -2.0, "float32")}
    assert kit.same(library.feed(x[:7], y[:7]), stream.feed(x[:7]))
    library.library.net_reset(kit.at(library.memory))
    stream.reset()
    for t in range(7, 12):
        assert library.library.net_step(kit.at(library.memory), kit.at(x[t:]), kit.at(y[t:])) == 0
    assert kit.same(y[7:], stream.feed(x[7:]))


def test_an_index_out_of_range_changes_nothing(kit, one):
    model = SequenceModel("lstm", 4, 6, 2, read="every", vocabulary=11, seed=1)
    library, ids = one(model), RNG.integers(0, 11, 40).astype("int32")
    right = model.predict(ids[None])[0]
    assert library.start() == 0
    first = library.feed(ids[:20], np.empty((20, 2), "float32"))
    for wrong in (-1, 11, 2**31 - 1, -(2**31)):
        bad = np.array([1, 2, wrong], "int32")
        y = library.feed(bad, np.full((3, 2), 7, "float32"))
        assert library.status == 2
        assert (y == 7).all()
        assert library.library.net_step(kit.at(library.memory), kit.at(bad[2:]), kit.at(y)) == 2
    rest = library.feed(ids[20:], np.empty((20, 2), "float32"))
    assert library.status == 0
    assert kit.same(np.concatenate([first, rest]), right)


def test_weights_in_a_file_of_their_own(kit, fused, tmp_path):
    model = SequenceModel("gru", 3, 6, 2, num_layers=2, seed=1)
    export.c(model, tmp_path / "net.c", weights=tmp_path / "net.bin")
    export.c(SequenceModel("gru", 3, 6, 2, num_layers=2, seed=2), tmp_path / "o.c", weights=tmp_path / "other.bin")
    (tmp_path / "all.c").write_text('#include "net.c"\n')
    library = kit.Built(tmp_path / "all.c", kit.compiler("gcc"), "-O2", "-fsanitize=undefined", "-fno-sanitize-recover")
    room = np.zeros(1 << 14, np.uint8)
    start = -room.ctypes.data % 8
    size = len((tmp_path / "net.bin").read_bytes())
    weights = room[start : start + size]
    weights[...] = np.frombuffer((tmp_path / "net.bin").read_bytes(), np.uint8)
    assert library.start("net", kit.at(weights), ctypes.c_size_t(size)) == 0
    x = RNG.standard_normal((9, 3)).astype("float32")
    assert kit.same(library.feed(x, np.empty(2, "float32")), model.predict(x[None])[0])
    assert library.start("net", kit.at(weights), ctypes.c_size_t(size - 4)) == 2
    assert library.start("net", kit.at(room[start + 1 :]), ctypes.c_size_t(size)) == 2
    weights[...] = np.frombuffer((tmp_path / "other.bin").read_bytes(), np.uint8)
    assert library.start("net", kit.at(weights), ctypes.c_size_t(size)) == 2
    assert "0x1" not in (tmp_path / "net.c").read_text().split("#define NET_IMPLEMENTED")[1].split("exp_tail")[0]


def test_programs_in_c_and_c_plus_plus(kit, fused, tmp_path):
    """Two nets in one program, one of them a header; declarations for another file; C++ that calls C."""
    layer, other = pylstm.LSTM(1, 2, seed=0), pylstm.GRU(1, 2, seed=0)
    export.c(layer, tmp_path / "net.c")
    export.header(other, tmp_path / "small.h", name="small")
    program = """
#define NET_DECLARE
#include "net.c"
#include "small.h"
#include <stdio.h>
int main() {
    static net_t net;
    static small_t small;
    float x[1] = {0.5f}, y[NET_OUTPUTS], z[SMALL_OUTPUTS];
    if (net_init(&net) != NET_OK || small_init(&small) != SMALL_OK) return 1;
    net_step(&net, x, y);
    small_step(&small, x, z);
    printf("%a %a %a %a\\n", (double)y[0], (double)y[1], (double)z[0], (double)z[1]);
    return 0;
}
"""
    x = np.array([0.5], "float32")
    right = [*layer.stream().step(x), *other.stream().step(x)]
    kit.run([*kit.compiler("gcc"), *kit.STRICT, "-O2", "-c", tmp_path / "net.c", "-o", tmp_path / "net.o"])
    for name, standard in (("main.c", "c11"), ("main.cpp", "c++17")):
        (tmp_path / name).write_text(program)
        compiler = kit.compiler("gcc" if name.endswith("c") else "g++")
        flags = [f"-std={standard}", *kit.STRICT[1:], "-O2", "-mfma"]
        kit.run([*compiler, *flags, tmp_path / name, tmp_path / "net.o", "-o", tmp_path / "main"])
        out = kit.run([tmp_path / "main"]).stdout.decode().split()
        assert [float.fromhex(each) for each in out] == [float(each) for each in right]


def test_no_library_is_needed(kit, tmp_path):
    """No allocation, no libm, no C library: an object file that names nothing from outside but what compilers use."""
    model = SequenceModel("slstm", 3, 6, 2, num_layers=2, read="mean", head_sizes=(5,), activation="tanh", seed=0)
    export.c(model, tmp_path / "net.c")
    kit.run([*kit.compiler("gcc"), *kit.STRICT, "-O2", "-c", tmp_path / "net.c", "-o", tmp_path / "net.o"])
    symbols = kit.run([kit.need("nm"), "-u", tmp_path / "net.o"]).stdout.decode().split()
    assert (
        set(symbols) - {"U", "memset", "memcpy", "__cpu_model", "__cpu_indicator_init", "_GLOBAL_OFFSET_TABLE_"}
        == set()
    )


@pytest.mark.parametrize(
    "flag", ["-ffast-math", "-Ofast", "-ffinite-math-only", "-funsafe-math-optimizations", "-freciprocal-math"]
)
def test_fast_math_is_refused(kit, tmp_path, flag):
    export.c(pylstm.LSTM(1, 2, seed=0), tmp_path / "net.c")
    command = [*kit.compiler("gcc"), flag, "-c", tmp_path / "net.c", "-o", tmp_path / "net.o"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode
    assert "-ffast-math changes the results" in done.stderr


def test_two_files_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, weights in (("n.c", "n.c"), (tmp_path / "n.c", "n.c"), ("n.c", "./n.c")):
        with pytest.raises(ValueError, match=r"weights and the C file are one file, .*n\.c: give the weights another"):
            export.c(pylstm.LSTM(1, 2, seed=0), path, weights=weights)
    for path, weights in ((None, None), (None, "w"), ("n.c", 3)):
        with pytest.raises(
            TypeError, match=r"path must be a str, bytes or path, got (NoneType: pylstm.export.c|int: a fi)"
        ):
            export.c(pylstm.LSTM(1, 2, seed=0), path, weights=weights)
    assert not list(tmp_path.iterdir())


class ByHand(Cell):
    """Runs as NumPy functions."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        return {"h": tanh(z.a)}

    def backward(d, y, prev):
        return {"a": d.h * (1 - y.h * y.h)}


class Numpy(Cell):
    """Is no formula."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        return {"h": np.tanh(np.asarray(z.a))}

    def backward(d, y, prev):
        return {"a": d.h * (1 - y.h * y.h)}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pylstm.LSTM(2, 3, bidirectional=True), "two directions reads every sequence from its end"),
        (lambda: ForecastModel("lstm", 3, difference=1), "fit"),
        (lambda: pylstm.Recurrent(ByHand, 2, 3, certified=False), "runs as NumPy functions.*leave out backward"),
        (lambda: pylstm.Recurrent(Numpy, 2, 3, certified=False), "not a formula of the functions of pylstm.cells"),
        (lambda: SequenceModel("ct_rnn", 2, 3, 1), "takes per-step inputs.*export model.layer"),
        (lambda: pylstm.Linear(2, 3), "model must be a recurrent layer, Stack, .* got Linear"),
        (lambda: 3, "model must be a recurrent layer, Stack, .* got int"),
        (lambda: ClassifyModel(["a", "b"]), "fit"),
    ],
)
def test_what_cannot_be_exported(tmp_path, make, words):
    with pytest.raises((TypeError, RuntimeError, ValueError), match=words):
        export.c(make(), tmp_path / "net.c")
    assert not (tmp_path / "net.c").exists()


class Awkward(Cell):
    """Its names are words of C, and those that the file has."""

    states = ("float", "k", "scratch")
    gates = {"a": "float", "int": "float+k"}
    params = ("z", "net")

    def forward(z, prev, p):
        new = tanh(z.a) * p.z + z.int
        return {"float": new, "k": 0.5 * prev.k + z.a, "scratch": prev.float * p.net}


def test_awkward_names(kit, fused, tmp_path):
    layer = pylstm.Recurrent(Awkward, 2, 3, certified=False, learn_initial=True, seed=0)
    layer.params.flat[...] = RNG.standard_normal(layer.params.size)
    library = kit.Built(kit.write_all({"x": layer}, tmp_path), kit.compiler("gcc"), "-O2")
    assert kit.same(library.outputs(layer, "x"), kit.expected(layer))


def test_a_forecast_of_several_series(tmp_path):
    model = ForecastModel("lstm", 3)
    model.fit(RNG.standard_normal((60, 2)), epochs=1)
    with pytest.raises(TypeError, match="fitted on 2 series has as many scales: fit it on one series, or export"):
        export.c(model, tmp_path / "net.c")


@pytest.mark.parametrize("name", ["Net", "2net", "my-net", "", "int", "class", 3])
def test_a_name_that_c_cannot_take(tmp_path, name):
    with pytest.raises(ValueError, match="name must"):
        export.c(pylstm.LSTM(1, 2), tmp_path / "net.c", name=name)


def test_weights_that_are_not_finite(tmp_path):
    layer = pylstm.LSTM(1, 2, dtype="float64")
    layer.params["bias"][0] = 1e300
    export.c(layer, tmp_path / "net.c")
    with pytest.raises(ValueError, match="layer 0: bias holds values that are not finite in float32"):
        export.header(layer, tmp_path / "net.h")


def test_the_command(kit, fused, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    layer = pylstm.GRU(2, 3, num_layers=2, seed=0)
    pylstm.save("net.safetensors", layer)
    assert cli.main(["export", "c", "net.safetensors", "-o", "net.c"]) == 0
    export.c(layer, "same.c")
    assert (tmp_path / "net.c").read_text() == (tmp_path / "same.c").read_text()
    assert (
        cli.main(["export", "c", "net.safetensors", "--name", "gru", "--dtype", "float64", "--weights", "gru.bin"]) == 0
    )
    export.c(layer, "same.c", name="gru", dtype="float64", weights="same.bin")
    assert (tmp_path / "gru.c").read_text() == (tmp_path / "same.c").read_text()
    assert (tmp_path / "gru.bin").read_bytes() == (tmp_path / "same.bin").read_bytes()
    assert cli.main(["export", "header", "net.safetensors"]) == 0
    export.header(layer, "same.h")
    assert (tmp_path / "net.h").read_text() == (tmp_path / "same.h").read_text()
    assert capsys.readouterr().out.split() == ["net.c", "gru.c", "gru.bin", "net.h"]
    assert cli.main(["export", "c", "nothing.safetensors"]) == 2
    assert "nothing.safetensors" in capsys.readouterr().err


def test_the_shortest_program_of_the_page(kit, fused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    code, program = (re.search(rf"```{language}\n(.*?)```", page, re.S)[1] for language in ("python", "c"))
    (command,) = re.findall(r"`(cc .*? main\.c)`", page)
    variables = {}
    exec(code, variables)
    (tmp_path / "main.c").write_text(program)
    kit.run([*kit.compiler("gcc"), *command.split()[1:], "-o", "main"])
    x = RNG.standard_normal((5, 1)).astype("float32")
    written = kit.run([tmp_path / "main"], input="\n".join(f"{float(v):.9g}" for v in x[:, 0]).encode()).stdout
    right = variables["layer"].stream().feed(x)[:, 0]
    assert [float.fromhex(each) for each in written.decode().split()] == [float(each) for each in right]


def test_the_functions_on_the_page_are_those_of_the_file(tmp_path):
    """Without what is said of them."""
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    export.c(pylstm.LSTM(1, 8), tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    declared = re.findall(r"^(?:int|void) net_\w+\(.*?\);", page, re.M)
    assert len(declared) == 4
    assert all(each in text for each in declared)


def test_statistics_need_all_steps(tmp_path):
    with pytest.raises(TypeError, match="read='stats' needs all steps at once: train one with read='last', 'mean'"):
        export.c(SequenceModel("gru", 2, 3, 2, read="stats"), tmp_path / "net.c")
