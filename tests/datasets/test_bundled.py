"""Data sets of installed packages, by their loaders, offline; what is missing is named."""

import importlib.util
import subprocess
import sys
import types

import numpy as np
import pytest

from pylstm.datasets import bundled, co2, digits, japanese_vowels, sunspots


def needs(name):
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"needs {name}")


@needs("sklearn")
def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    data, (images, labels) = digits(), load_digits(return_X_y=True)
    assert (len(data.x), len(data.x_test)) == (1437, 360)
    ours = np.stack([*data.x, *data.x_test]).reshape(1797, 64) * 16
    order = [
        np.lexsort(np.column_stack([rows, y]).T) for rows, y in ((ours, [*data.y, *data.y_test]), (images, labels))
    ]
    assert np.array_equal(ours[order[0]], images[order[1]])
    assert np.array_equal(np.array([*data.y, *data.y_test])[order[0]], labels[order[1]])
    assert data.x[0].shape == (8, 8) and data.x[0].dtype == np.float32
    assert sorted(set(data.y_test)) == list(range(10))


@needs("aeon")
def test_japanese_vowels_have_the_split_of_their_authors():
    data = japanese_vowels()
    assert (len(data.x), len(data.x_test), data.classes) == (270, 370, tuple("123456789"))
    assert np.bincount(data.y).tolist() == [30] * 9
    assert np.bincount(data.y_test).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = [len(each) for each in [*data.x, *data.x_test]]
    assert (min(lengths), max(lengths)) == (7, 29)
    assert data.x[0].shape == (20, 12) and data.x[0].dtype == np.float32
    # the first numbers of the first two channels in the file
    assert data.x[0][:2, :2].tolist() == np.array([[1.860936, -0.207383], [1.891651, -0.193249]], "f4").tolist()


@needs("statsmodels")
def test_sunspots():
    series = sunspots()
    assert series.values.shape == (309,) and (series.times[0], series.times[-1]) == ("1700", "2008")
    assert series.values[-3:].tolist() == [15.2, 7.5, 2.9] and series.filled == 0


@needs("statsmodels")
def test_gaps_of_co2_are_on_straight_lines():
    weeks = co2("week")
    assert weeks.values.shape == (2284,) and weeks.season == 52 and weeks.filled == 59
    assert np.isfinite(weeks.values).all()
    at = weeks.times.index("1958-05-10")  # the seventh week has no measurement
    assert weeks.values[at] == pytest.approx((weeks.values[at - 1] + weeks.values[at + 1]) / 2)
    months = co2()
    of_april = [value for time, value in zip(weeks.times, weeks.values) if time.startswith("1958-04")]
    assert months.times[1] == "1958-04" and months.values[1] == pytest.approx(np.mean(of_april))
    with pytest.raises(ValueError, match="every must be month or week, got 'year'"):
        co2("year")


LOADERS = [
    (digits, "scikit-learn", "sklearn", "sklearn"),
    (japanese_vowels, "aeon", "aeon", "data"),
    (sunspots, "statsmodels", "statsmodels", "data"),
    (co2, "statsmodels", "statsmodels", "data"),
]


def replace(monkeypatch, package, module):
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, module)


@pytest.mark.parametrize(("load", "distribution", "package", "extra"), LOADERS)
def test_a_missing_package_is_named_with_the_extra(load, distribution, package, extra, monkeypatch):
    replace(monkeypatch, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"part of {distribution}, .*pip install 'pylstm\[{extra}\]'") as got:
        load()
    assert got.value.name == package


@pytest.mark.parametrize(("load", "package"), [(load, package) for load, _, package, _ in LOADERS])
def test_what_an_installed_package_needs_is_not_taken_for_it(load, package, monkeypatch, tmp_path):
    (tmp_path / "datasets.py").write_text("import a_package_that_nobody_has")
    module = types.ModuleType(package)
    module.__path__ = [str(tmp_path)]
    replace(monkeypatch, package, module)
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'a_package_that_nobody_has'$"):
        load()


def test_loaders_stay_offline_and_importing_them_imports_no_package():
    code = (
        "import socket, sys\n"
        "from pylstm import datasets\n"
        "print([name for name in ('sklearn', 'aeon', 'statsmodels', 'pandas', 'scipy') if name in sys.modules])\n"
        "def refuse(*_): raise OSError('asked the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "for load in (datasets.digits, datasets.japanese_vowels, datasets.sunspots, datasets.co2):\n"
        "    try: load()\n"
        "    except ModuleNotFoundError: pass\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_gaps_at_the_ends_stay():
    filled, count = bundled.fill_gaps(np.array([np.nan, 1.0, np.nan, np.nan, 4.0, np.nan]))
    assert np.isnan(filled[[0, 5]]).all() and filled[1:5].tolist() == [1.0, 2.0, 3.0, 4.0] and count == 2
    assert bundled.fill_gaps(np.full(3, np.nan))[1] == 0
