"""Several series, several columns and known inputs on the command line."""

import csv
import io
import json
import math

import numpy as np
import pytest

from pylstm.saving import load, read_about

SMALL = ["--hidden", 4, "--epochs", 2, "--quiet"]
SAVED = "pylstm-forecast.safetensors"


def month(k):
    return f"{2000 + k // 12}-{k % 12 + 1:02d}"


def value(shop, k):
    return round(10 * (1 + "AB".index(shop)) + math.sin(k * math.pi / 6) + 0.3 * (k % 5), 4)


@pytest.fixture
def shops(tmp_path):
    """Two shops of 48 and 40 months, newest first, with the prices of three months more."""
    lines = []
    for shop, T in (("A", 48), ("B", 40)):
        lines += [f"{month(k)},{shop},{k % 5},{value(shop, k)},{-value(shop, k)}" for k in range(T)]
        lines += [f"{month(k)},{shop},{k % 5},," for k in range(T, T + 3)]
    path = tmp_path / "shops.csv"
    path.write_text("\n".join(["month,shop,price,sold,back", *reversed(lines)]) + "\n")
    return path


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def test_shops(run, shops):
    options = ["--id", "shop", "--column", "sold", "--known", "price", "--sort", "--horizon", 3, "--validation", 0.2]
    found = run("train", "forecast", shops, *options, "--json", *SMALL).json
    assert found["season"] == 12 and sorted(found["series"]) == ["A", "B"]
    model = load(SAVED)
    values = {shop: np.array([value(shop, k) for k in range(T)]) for shop, T in (("A", 48), ("B", 40))}
    known = {shop: (np.arange(len(each) + 3) % 5.0)[:, None] for shop, each in values.items()}
    before = [values[shop][:-3] for shop in "BA"]
    expected = model.predict(3, history=before, exogenous=[known[shop][:-3] for shop in "BA"])
    for shop, forecast in zip("BA", expected):
        mae = np.abs(forecast - values[shop][-3:]).mean()
        assert found["series"][shop]["errors"]["model"]["mae"] == pytest.approx(mae)
    done = run("predict", SAVED, "--interval", 0.8)
    rows = rows_of(done.out)
    assert done.err == "" and rows[0] == ["shop", "month", "sold", "low", "high"]
    assert [row[:2] for row in rows[1:]] == [
        [shop, month(T + k)] for shop, T in (("B", 40), ("A", 48)) for k in range(3)
    ]
    ahead = model.predict(3, history=[values[s] for s in "BA"], exogenous=[known[s] for s in "BA"])
    assert [float(row[2]) for row in rows[1:]] == pytest.approx(np.concatenate(ahead).tolist(), rel=1e-8)
    assert "has the inputs of 3 steps to come of 'B', 4 are needed" in run("predict", SAVED, "--steps", 4).err
    evaluated = run("evaluate", SAVED, "--json").json
    assert evaluated["series"] == found["series"]


def split(shops):
    """The rows with values alone, and the inputs of the steps to come in a file of their own."""
    head, *lines = shops.read_text().splitlines()
    ahead = [line.split(",") for line in lines if line.endswith(",,")]
    shops.write_text("\n".join([head, *(line for line in lines if not line.endswith(",,"))]) + "\n")
    return {
        "alone": "\n".join(["price,shop,month", *(f"{price},{shop},{at}" for at, shop, price, *_ in ahead)]),
        "empty": "\n".join(["shop,month,sold,price", *(f"{shop},{at},,{price}" for at, shop, price, *_ in ahead)]),
    }


@pytest.mark.parametrize("kind", ["alone", "empty"])
def test_inputs_of_steps_to_come_in_a_file_of_their_own(run, shops, tmp_path, kind):
    options = ["--id", "shop", "--column", "sold", "--known", "price", "--sort", "--horizon", 3, "--validation", 0.2]
    whole = shops.read_text()
    run("train", "forecast", shops, *options, *SMALL)
    expected = run("predict", SAVED)
    files = split(shops)
    path = tmp_path / "ahead.csv"
    path.write_text(files[kind] + "\n")
    found = run("predict", SAVED, path)
    assert (found.status, found.out) == (0, expected.out) and "they follow the series of" in found.err
    path.write_text(files[kind].replace(month(48), month(49)).replace(month(40), month(50)) + "\n")
    error = run("predict", SAVED, path)
    assert error.status == 2 and f"is not the step '{month(40)}', which follows the series" in error.err
    path.write_text("\n".join(line for line in files[kind].splitlines() if "A" not in line.split(",")) + "\n")
    assert "has no rows of the series 'A'" in run("predict", SAVED, path).err
    path.write_text(files[kind].replace("price", "cost") + "\n")
    assert (
        "unknown column 'price'" in run("predict", SAVED, path).err
        or "unknown column 'sold'" in run("predict", SAVED, path).err
    )
    shops.write_text(whole)


def test_without_inputs_of_steps_to_come(run, shops):
    options = ["--id", "shop", "--column", "sold", "--known", "price", "--sort", *SMALL]
    lines = shops.read_text().splitlines()
    shops.write_text("\n".join(line for line in lines if not line.endswith(",,")) + "\n")
    assert run("train", "forecast", shops, *options).status == 0
    done = run("predict", SAVED)
    assert done.status == 2 and "add rows with them at the end, the column 'sold' empty" in done.err


def test_columns(run, shops):
    lines = [line for line in shops.read_text().splitlines() if line.split(",")[1] != "B" and not line.endswith(",,")]
    shops.write_text("\n".join(lines) + "\n")
    options = ["--column", "sold", "--column", "back", "--sort", "--validation", 0.2]
    done = run("train", "forecast", shops, *options, *SMALL)
    assert done.status == 0 and "of 2 series" in done.out and "geometric mean" in done.out
    rows = rows_of(run("predict", SAVED, "--steps", 2, "--interval", 0.5).out)
    assert rows[0] == ["month", "sold", "sold_low", "sold_high", "back", "back_low", "back_high"]
    assert [row[0] for row in rows[1:]] == ["2004-01", "2004-02"]
    assert float(rows[1][1]) > 5 > -5 > float(rows[1][4])
    found = run("predict", SAVED, "--json").json
    assert sorted(found["series"]) == ["back", "sold"] and found["series"]["sold"]["times"][0] == "2004-01"


def test_other_columns_are_refused(run, tmp_path):
    waves = "".join(f"2001-01-{k:02d},{math.sin(k)}\n" for k in range(1, 31))
    (tmp_path / "a.csv").write_text(f"date,flow\n{waves}")
    (tmp_path / "b.csv").write_text(f"date,level\n{waves}")
    (tmp_path / "c.csv").write_text(f"when,flow\n{waves}")
    assert run("train", "forecast", "a.csv", *SMALL).status == 0
    assert read_about(SAVED)["reading"]["column"] == ["flow"]
    assert "b.csv: unknown column 'flow' (known: 'date', 'level')" in run("predict", SAVED, "b.csv").err
    assert "c.csv: unknown column 'date' (known: 'when', 'flow')" in run("predict", SAVED, "c.csv").err
    assert rows_of(run("predict", SAVED, "a.csv", "--steps", 1).out)[0] == ["date", "flow"]
    assert rows_of(run("predict", SAVED, "b.csv", "--column", "level").out)[1][0] == "2001-01-31"


def test_a_picture_stands_beside_the_model(run, tmp_path):
    pytest.importorskip("matplotlib")
    waves = "".join(f"2001-01-{k:02d},{math.sin(k)}\n" for k in range(1, 31))
    (tmp_path / "a.csv").write_text(f"date,flow\n{waves}")
    options = [*SMALL[:-1], "--save", "m.safetensors"]
    assert "picture m.png" in run("train", "forecast", "a.csv", *options).out
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "m.png").unlink()
    for more in (["--no-plot"], ["--quiet"], ["--json"]):
        assert run("train", "forecast", "a.csv", *options, *more).status == 0
        assert not (tmp_path / "m.png").exists()
    assert run("train", "forecast", "a.csv", *options, "--plot", "b.svg").err == "plot: b.svg\n"
    picture = (tmp_path / "b.svg").read_text()
    assert "<svg" in picture


def test_the_season_is_found_by_the_dates(run, tmp_path):
    def season(dates):
        (tmp_path / "a.csv").write_text("date,y\n" + "".join(f"{d},{math.sin(k)}\n" for k, d in enumerate(dates)))
        return run("train", "forecast", "a.csv", *SMALL, "--json").json["season"]

    assert season([month(k) for k in range(48)]) == 12
    assert season([month(k) for k in range(30)]) == 6  # less than three years: what the values repeat
    assert season([f"2001-01-{k:02d}" for k in range(1, 31)]) == 7
    assert season([f"{k}" for k in range(1900, 1950)]) == 6


def test_json_of_times(run, tmp_path):
    (tmp_path / "a.csv").write_text("".join(["y\n", *(f"{math.sin(k)}\n" for k in range(40))]))
    assert run("train", "forecast", "a.csv", *SMALL).status == 0
    done = run("predict", SAVED, "--steps", 2, "--json")
    assert json.loads(done.out)["times"] == ["41", "42"] and json.loads(done.out)["time"] is None


def test_as_many_steps_as_inputs_are_known_of(run, shops):
    options = ["--id", "shop", "--column", "sold", "--known", "price", "--sort", "--horizon", 5, *SMALL]
    assert run("train", "forecast", shops, *options).status == 0
    assert len(rows_of(run("predict", SAVED).out)) == 1 + 2 * 3


def dated(path, days, columns="date,y"):
    """A file of values that do not repeat, on these days."""
    values = 50 + 9 * np.sin(np.arange(len(days))) + np.random.default_rng(3).normal(size=len(days))
    lines = [f"{day},{value:.4f}" for day, value in zip(days.astype("M8[D]"), values)]
    path.write_text("\n".join([columns, *lines]) + "\n")
    return path


def test_a_file_of_another_step_is_refused(run, tmp_path):
    days = np.datetime64("2020-01-01") + np.arange(60)
    work = np.busday_offset("2020-01-01", np.arange(60))
    daily, business = dated(tmp_path / "daily.csv", days), dated(tmp_path / "business.csv", work)
    few = dated(tmp_path / "few.csv", work[3:8])  # a week from Monday: such days may be either
    assert (
        run("train", "forecast", daily, "--hidden", 2, "--epochs", 1, "--no-plot", "--save", "d.safetensors").status
        == 0
    )
    text = "has steps of a business day, the model was trained on steps of a day: --fill none takes the rows"
    for command in ("predict", "evaluate"):
        done = run(command, "d.safetensors", business)
        assert done.status == 2 and text in done.err and done.out == ""
    assert run("predict", "d.safetensors", business, "--steps", 1, "--fill", "none").status == 0
    assert (
        run("predict", "d.safetensors", daily).status == run("predict", "d.safetensors", few, "--steps", 1).status == 0
    )


def test_blocks_of_texts_may_be_series(run, tmp_path):
    path = tmp_path / "blocks.csv"
    values = np.random.default_rng(0).normal(size=60).round(3)
    path.write_text("shop,y\n" + "".join(f"{'ABC'[k // 20]},{value}\n" for k, value in enumerate(values)))
    options = ("--hidden", 2, "--epochs", 1, "--no-plot", "--column", "y")
    done = run("train", "forecast", path, *options)
    assert "note: the column 'shop' is not read: --id shop reads a series for each" in done.err
    assert "is not read" not in run("train", "forecast", path, *options, "--id", "shop").err


def test_series_are_found_by_their_ids(run, shops):
    """A file with the series in another order has the same forecasts; one with others is refused."""
    options = ["--id", "shop", "--column", "sold", "--known", "price", "--sort", "--horizon", 3, "--validation", 0.2]
    run("train", "forecast", shops, *options, *SMALL)
    head, *lines = shops.read_text().splitlines()
    other = shops.with_name("other.csv")
    other.write_text("\n".join([head, *sorted(lines, key=lambda line: line.split(",")[1])]) + "\n")
    expected, found = (rows_of(run("predict", SAVED, each).out) for each in (shops, other))
    assert sorted(found) == sorted(expected) and len({row[0] for row in found}) == 3
    errors = [run("evaluate", SAVED, each, "--json").json["series"] for each in (shops, other)]
    assert errors[0] == errors[1]
    other.write_text("\n".join([head, *lines]).replace(",B,", ",C,") + "\n")
    failed = run("predict", SAVED, other)
    assert "holds the series 'C', 'A', and the model was trained on 'B', 'A'" in failed.err
