"""Forecasts whose series are prepared, as C files: logarithms, seasons and differences beside `predict`."""

from dataclasses import replace

import numpy as np
import pytest

from pylstm import export
from pylstm.forecasting import ForecastModel

RNG = np.random.default_rng(0)
SERIES = 20 + np.sin(np.arange(90) / 2) * 4 + np.arange(90) * 0.3 + RNG.standard_normal(90)


def fitted(model):
    model.fit(SERIES, epochs=2, validation=0.3 if model.combine else 0.0)
    return model


def built(kit, folder, model, form="c", **options):
    getattr(export, form)(model, folder / f"net.{form[0]}", **options)
    (folder / "all.c").write_text(f'#include "net.{form[0]}"\n')
    library = kit.Built(folder / "all.c", kit.compiler("gcc"), "-O2", "-fsanitize=undefined", "-fno-sanitize-recover")
    assert library.start() == 0
    return library


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        dict(difference=1),
        dict(season=4),
        dict(season=7, difference=1, horizon=9),
        dict(difference=2, horizon=5),
        dict(log=True, season=3, difference=1, horizon=2),
        dict(log=True),
    ],
    ids=str,
)
def test_a_prepared_series(kit, fused, tmp_path, options, dtype):
    options = {"horizon": 3} | options
    model = fitted(ForecastModel("gru", 5, window=20, dtype=dtype, seed=1, **options))
    library, lost, n = built(kit, tmp_path, model), model.preparation.lost, options["horizon"]
    x = SERIES[-20 - lost :].copy()
    y = library.feed(x, np.empty((len(x), n)))
    right = model.predict(n)
    assert np.isnan(y[:lost]).all()
    assert np.isfinite(y[lost:]).all()
    if not options.get("log"):
        np.testing.assert_array_equal(y[-1], right)
    np.testing.assert_allclose(y[-1], right, rtol=1e-12 if dtype == "float64" else 1e-6)
    library.library.net_reset(kit.at(library.memory))
    later = np.append(x, 33.0)
    again = library.feed(later, np.empty((len(later), n)))[-2]
    assert kit.same(again, y[-1])


def test_several_values_a_step_and_what_is_known(kit, fused, tmp_path):
    series = np.stack([SERIES, SERIES[::-1] * 0.5 + 30], axis=1)
    known = RNG.standard_normal((93, 2))
    model = ForecastModel("lstm", 4, window=16, horizon=1, season=5, difference=1, joint=True, seed=0)
    model.fit(series, exogenous=known[:90], epochs=2)
    library, lost = built(kit, tmp_path, model), model.preparation.lost
    first = 90 - 16 - lost
    x = np.concatenate([series[first:], known[first + 1 : 91]], axis=1)
    y = library.feed(x, np.empty((len(x), 2)))[-1:]
    np.testing.assert_array_equal(y, model.predict(1, exogenous=known[90:91]))


@pytest.mark.filterwarnings("ignore:in the back-test nothing was better")
def test_a_forecast_that_is_not_the_net_alone(tmp_path):
    model = fitted(ForecastModel("gru", 3, combine=True, window=12, seed=0))
    with pytest.raises(
        TypeError,
        match=r"the forecast is .*, and the file holds a net alone: fit with combine=False \(the command: pylstm train "
        r"forecast --net-alone\), or export model.net",
    ):
        export.c(model, tmp_path / "net.c")
    model = fitted(ForecastModel("gru", 3, loss="gaussian", window=12, seed=0))
    with pytest.raises(TypeError, match="loss='gaussian': the forecast is the median of paths that are drawn"):
        export.c(model, tmp_path / "net.c")
    assert not (tmp_path / "net.c").exists()


@pytest.mark.filterwarnings("ignore:in the back-test nothing was better")
def test_nothing_falls_below_what_the_series_is_above(kit, fused, tmp_path):
    model = fitted(ForecastModel("gru", 3, combine=True, difference=1, window=12, seed=0))
    columns = model.blend.columns
    columns[:] = [replace(each, share=1.0, net=1.0, above=60.5, log=False) for each in columns]
    library = built(kit, tmp_path, model)
    y = library.feed(SERIES[-13:].copy(), np.empty((13, 1)))[-1]
    assert y == model.predict(1) == 60.5


def test_a_header(kit, fused, tmp_path):
    model = fitted(ForecastModel("gru", 5, window=20, season=4, difference=1, horizon=3, seed=1))
    export.header(model, tmp_path / "net.h")
    text = (tmp_path / "net.h").read_text()
    assert "struct { uint64_t seen; double past0[4]; double past1[1]; } series;" in text
    assert "There is no forecast, y is NaN,\n   before step 6." in text
