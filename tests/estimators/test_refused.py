"""Estimators refuse what has no meaning, with the cure, and drop what no longer holds."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pylstm
from pylstm import Forecaster, SequenceClassifier, SequenceRegressor
from pylstm.forecasting import backtest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 10, 1))
LABELS = np.where(X[:, -4:].sum(axis=(1, 2)) > 0, "u", "d")
STEPS = np.where(X[..., 0] > 0, "u", "d")
SMALL = {"hidden_size": 4, "random_state": 0}
NET = SequenceClassifier(**SMALL).fit(X, LABELS)


@pytest.mark.parametrize("factor", [-1, float("nan"), float("inf"), "2", None])
@pytest.mark.parametrize("options", [{}, {"method": "random"}, {"method": "trained"}, {"read": "every"}])
def test_class_weights_are_numbers_of_at_least_0(factor, options):
    net, y = SequenceClassifier(**SMALL, **options, class_weight={"u": factor}), STEPS if "read" in options else LABELS
    with pytest.raises(ValueError, match=r"class_weight\['u'\] must be a number, 0 or more and finite, got "):
        net.fit(X, y)
    if "method" not in options:
        with pytest.raises(ValueError, match=r"class_weight\['u'\] must be"):
            net.partial_fit(X, y, classes=["u", "d"])


def test_a_pass_takes_no_random_net_and_holds_nothing_out():
    for options, said in (
        ({"method": "random"}, "method='random' fits all sequences at once: for partial_fit take method='trained'"),
        ({"calibrate": True}, "calibrate=True holds out sequences, but partial_fit trains on all it is given"),
    ):
        net = SequenceClassifier(**SMALL, **options)
        for _ in range(2):
            with pytest.raises(ValueError, match=said):
                net.partial_fit(X, LABELS, classes=["d", "u"])
            net.fit(X, LABELS)


def test_a_pass_after_a_random_net_drops_what_was_found_of_it(tmp_path):
    net = SequenceClassifier(**SMALL).fit(X, LABELS)
    assert net.method_ == "random" and net.scores_ and net.temperature_ != 1 and net.settings_["penalty"]
    view = net.view_
    net.partial_fit(X, LABELS)
    pylstm.save(tmp_path / "net", net)
    for each in (net, pylstm.load(tmp_path / "net")):
        assert each.method_ == "trained" and each.scores_ == {} and each.temperature_ == 1
        assert each.settings_ == {"view": view, "penalty": None} and each.n_iter_ == 1
        assert each.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()


@pytest.mark.parametrize("what", ["calibrate", "early_stopping"])
@pytest.mark.parametrize(("rows", "share"), [(1, 0.1), (3, 0.9)])
def test_a_share_held_out_leaves_some(what, rows, share):
    net = SequenceClassifier("gru", **SMALL, validation_fraction=share, **{what: True})
    with pytest.raises(
        ValueError, match=f"{what} holds out validation_fraction={share} of the sequences and leaves none"
    ):
        net.fit(X[:rows], LABELS[:rows])


def test_a_list_of_quantiles_is_one_after_a_load(tmp_path):
    net = SequenceRegressor("gru", **SMALL, epochs=1, loss=[0.1, 0.5, 0.9]).fit(X, X[:, -1, 0])
    pylstm.save(tmp_path / "net", net)
    assert pylstm.load(tmp_path / "net").get_params() == net.get_params()


class Loader:
    """As a DataLoader: batches again and again, no sequence."""

    def __len__(self):
        return 2

    def __iter__(self):
        yield from ((X[:30], X[:30, -1, 0]), (X[30:], X[30:, -1, 0]))


def test_batches_are_for_fit_alone():
    net, loader = SequenceRegressor("gru", **SMALL, epochs=1).fit(Loader()), Loader()
    assert np.concatenate([net.predict(batch[0]) for batch in loader]).shape == (60,)
    for X_ in (loader, lambda: iter(loader)):
        for call in (net.predict, net.score, lambda x: net.score(x, X[:, -1, 0])):
            with pytest.raises(
                TypeError, match=r"batches \((Loader|function)\), which fit alone takes, without y: pass"
            ):
                call(X_)
        for given in ({"y": X[:, -1, 0]}, {"sample_weight": np.ones(60)}):
            with pytest.raises(TypeError, match=f"{next(iter(given))} must not be passed beside batches"):
                net.fit(X_, **given)
    with pytest.raises(TypeError, match="sample_weight must not be passed beside batches"):
        net.fit(list(loader), sample_weight=np.ones(60))
    with pytest.raises(TypeError, match="which fit alone takes"):
        SequenceClassifier().partial_fit(loader, classes=["d", "u"])
    with pytest.raises(ValueError, match="y is None: pass the targets, one for each sequence of X"):
        net.score(X)


@pytest.mark.parametrize(
    "path", ["x.h5", "x.npz", "table.csv", "a text", ".", ["x.npy", "x.h5"], np.array(["x.h5", "y.h5"])]
)
def test_other_files(path):
    for call in (lambda: SequenceClassifier().fit(path, LABELS), lambda: NET.predict(path)):
        with pytest.raises(ValueError, match=r"X must be sequences, the path of a .npy .*, got '.*: read another f"):
            call()


def test_an_array_of_paths():
    with pytest.raises(ValueError, match=r"must be in a list, got an array: pass X.tolist\(\)"):
        NET.predict(np.array(["x.npy", "y.npy"]))


@pytest.mark.parametrize("shape", [(60, 10, 1), (60, 10)])
def test_not_finite_in_a_file(shape, tmp_path):
    x = X.reshape(shape).copy()
    x[41, 3] = np.nan
    np.save(tmp_path / "x.npy", x)
    for mapped in (tmp_path / "x.npy", np.load(tmp_path / "x.npy", mmap_mode="r")):
        for weights in (None, np.arange(60) % 3):
            with pytest.raises(ValueError, match=r"Input X contains nan at index \(41, 3(, 0)?\)"):
                SequenceClassifier(**SMALL).fit(mapped, LABELS, weights)
        with pytest.raises(ValueError, match=r"Input X contains nan at index \(41, 3(, 0)?\)"):
            NET.predict(mapped)
        SequenceClassifier(**SMALL).fit(mapped, LABELS, np.arange(60) != 41)  # which leaves it out


Y = np.sin(np.arange(60.0)) + 0.1 * np.arange(60)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y + 1j, "y must be numbers, .*complex128: pass its real part"),
        ([Y, Y + 1j], "series 1 must be numbers, .*complex128"),
        (np.arange("2001-01", "2006-01", dtype="M8[M]"), r"y must be numbers, .*datetime64\[M\]: times are the index"),
        (Y.astype("m8[s]"), r"y must be numbers, .*timedelta64"),
        (np.ma.masked_less(Y, 0.5), r"y contains NaN or infinity, first at index \(0,\)"),
        ([], "y has no steps: each series needs at least one"),
        (np.zeros((0, 2)), "series 0 has no steps"),
        ([Y, np.zeros(0)], "series 1 has no steps"),
    ],
)
def test_series_that_are_not_numbers_or_have_none(y, message):
    small = {"hidden_size": 2, "epochs": 1, "random_state": 0}
    with pytest.raises((TypeError, ValueError), match=message):
        Forecaster(**small).fit(y)
    net = Forecaster(**small).fit([Y, Y] if isinstance(y, list) and len(y) else Y)
    with pytest.raises((TypeError, ValueError), match=message):
        net.predict(2, history=y)


def test_tables_of_complex_numbers_or_without_rows():
    with pytest.raises(TypeError, match="the column 'y' holds complex numbers"):
        Forecaster(time="t").fit({"t": np.arange(60), "y": Y + 1j})
    for columns in ({"id": "shop"}, {"time": "t"}):
        with pytest.raises(ValueError, match="the table has no rows"):
            Forecaster(**columns).fit({**dict.fromkeys(columns.values(), np.zeros(0)), "y": np.zeros(0)})
    with pytest.raises(TypeError, match="sequence 0 must be numbers, got complex128"):
        pylstm.ClassifyModel(["a", "b"], "rnn_tanh", 2).fit(np.ones((4, 3, 1)) + 1j, [0, 1, 0, 1], epochs=1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("at", [-1, -4, 3])
def test_a_back_test_of_what_was_not_measured(value, at):
    values = Y.copy()
    values[at] = value
    net = Forecaster(hidden_size=2, epochs=1, random_state=0).fit(Y[:48])
    with pytest.raises(ValueError, match=rf"values contains NaN or infinity, first at index \({at % 60},\)"):
        backtest(net, values, hold_out=12, horizon=6)


@pytest.mark.filterwarnings("ignore:in the back-test:UserWarning")
def test_a_short_series_of_several_is_named():
    lengths = {"north": 40, "east": 30, "new": 1}
    table = {
        "shop": np.repeat(list(lengths), list(lengths.values())),
        "week": np.concatenate([np.arange(n) for n in lengths.values()]),
        "sold": RNG.normal(size=71).cumsum(),
    }
    with pytest.raises(ValueError, match=r"^series 'new' of 1 steps is too short: 3 are needed"):
        Forecaster(id="shop", time="week", **SMALL).fit(table)
    with pytest.raises(ValueError, match=r"^series 1 of 2 steps is too short: 3 are needed"):
        Forecaster(**SMALL).fit([table["sold"][:30], table["sold"][:2]])


def test_a_hold_out_of_all_steps():
    values = RNG.normal(size=30).cumsum()
    for hold_out in (30, 500):
        with pytest.raises(ValueError, match=f"30 steps has 0 before the hold-out of {hold_out}; at least 1 "):
            backtest(Forecaster(**SMALL), values, hold_out=hold_out, horizon=3, refit=True)


@pytest.mark.parametrize("kind", ["pandas", "polars", "array"])
def test_text_is_refused_by_its_column(kind):
    columns = {"speed": np.arange(20.0), "road": np.array(["wet", "dry"] * 10, object), "load": np.ones(20)}
    table, said = (
        np.column_stack(list(columns.values())),
        "X must be numbers, but holds text, such as 'wet': leave it out",
    )
    if kind != "array":
        table = pytest.importorskip(kind).DataFrame(columns)
        said = "X: the column 'road' holds text, such as 'wet': leave it out, or make numbers of it"
    for net in (SequenceClassifier(**SMALL), SequenceRegressor(hidden_size=4)):
        with pytest.raises(ValueError, match=said) as found:
            net.fit(table, np.arange(20) % 2)
        assert ("get_dummies" in str(found.value)) == (kind == "pandas")
