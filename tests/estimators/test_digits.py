"""Dates written as whole numbers: 202412 is followed by 202501, in tables and in files, and plain numbers stay such."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

import pylstm  # noqa: E402
from pylstm import Forecaster  # noqa: E402
from pylstm.data.timestamps import read_times  # noqa: E402

SMALL = {"hidden_size": 3, "epochs": 1, "random_state": 0, "time": "when", "target": "sold"}
MONTHS = np.array([100 * year + month for year in range(2020, 2025) for month in range(1, 13)])
DAYS = np.array([int(str(day).replace("-", "")) for day in np.arange("2024-11-01", "2024-12-31", dtype="M8[D]")])
pytestmark = pytest.mark.filterwarnings("ignore:in the back-test", "ignore:an interval of level")


def sold(n):
    return 20 + np.random.default_rng(0).normal(size=n)


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (MONTHS, [202501, 202502, 202503]),
        (MONTHS[:-3], [202410, 202411, 202412]),
        (MONTHS[::3], [202501, 202504, 202507]),
        (DAYS, [20241231, 20250101, 20250102]),
        (np.arange(202401, 202461), [202461, 202462, 202463]),
        (np.arange(1961, 2021), [2021, 2022, 2023]),
    ],
)
def test_months_and_days_go_on(library, times, expected, tmp_path):
    net = Forecaster("gru", **SMALL).fit(library.DataFrame({"when": times, "sold": sold(len(times))}))
    pylstm.save(tmp_path / "net", net)
    for each in (net, pylstm.load(tmp_path / "net")):
        found = each.predict(3)["when"]
        assert found.to_list() == expected and "int64" in str(found.dtype).lower()


def test_later_rows_are_read_as_those_of_the_fit():
    times, price = np.arange(200050, 200104), np.random.default_rng(1).normal(size=54)
    net = Forecaster("gru", known=["price"], **SMALL)
    net.fit(pd.DataFrame({"when": times[:51], "sold": sold(51), "price": price[:51]}))
    found = net.predict(3, pd.DataFrame({"when": times[51:], "price": price[51:]}))
    assert found["when"].to_list() == [200101, 200102, 200103]  # not months, though they could be


def test_columns_of_files():
    months, form = read_times(np.array([b"202411", b"202412"]))
    assert months.astype("M8[M]").astype(str).tolist() == ["2024-11", "2024-12"] and form.write(months) == [
        "202411",
        "202412",
    ]
    assert read_times(np.array([b"202412", b"202413"]))[1] is None and read_times(np.array([b"170001"]))[1] is None
