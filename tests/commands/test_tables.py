"""Files as people have them, in `tables/`: each stands beside what it must give, by the options of the commands."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from pylstm.commands import train
from pylstm.commands._shared.reading import TABLE
from pylstm.commands._shared.sequences import read_groups
from pylstm.commands._shared.series import READ, read_all

TABLES = Path(__file__).parent / "tables"
CASES = [
    pytest.param(path, case, id=f"{path.stem}-{' '.join(case['options']) or 'as it is'}")
    for path in sorted(TABLES.glob("*.csv"))
    for case in json.loads(path.with_suffix(".json").read_text())
]


def options(task, path, words):
    """What the parser of a command makes of its words."""
    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers())
    args = parser.parse_args(["train", task, str(path), *words])
    names = READ if task == "forecast" else ("label", "id", "columns", *TABLE)
    return {name: getattr(args, name) for name in names}


@pytest.mark.parametrize(("path", "case"), CASES)
def test_a_file_gives(path, case, run, tmp_path):
    task = case.get("task", "forecast")
    if "error" in case:
        done = run("train", task, path, *case["options"], "--hidden", 2, "--epochs", 1, "--quiet")
        assert (done.status, done.out, list(tmp_path.iterdir())) == (2, "", [])
        assert case["error"] in done.err and done.err.startswith(f"pylstm: error: {path}")
    elif task == "classify":
        check_sequences(case, options(task, path, case["options"]), path)
    else:
        check_series(case, read_all(str(path), options(task, path, case["options"])))


def check_sequences(case, reading, path):
    reading["columns"] = reading["columns"].split(",") if reading["columns"] else None
    found = read_groups(str(path), reading)
    assert [each.ravel().tolist() for each in found.x] == case["x"] and found.labels == case["labels"]
    assert "ids" not in case or found.ids == case["ids"]


def check_series(case, found):
    values = case["values"] if isinstance(case["values"][0], list) else [case["values"]]
    assert len(found.series) == len(values)
    for series, expected in zip(found.series, values):
        np.testing.assert_allclose(series.values, expected, rtol=1e-14)
        assert len(series.times) == len(expected)
    series = found.series[0]
    shown = {
        "next": found.after(0, 2),
        "step": str(found.steps[0]) if found.steps else None,
        "times": [series.times[0], series.times[-1]],
        "column": list(found.columns),
        "time": found.time,
        "ids": found.ids,
        "known": found.known[0].tolist(),
    }
    asked = {name for name in shown if name in case}
    assert {name: shown[name] for name in asked} == {name: case[name] for name in asked}


def test_a_column_of_times_that_is_not_read_is_told_of(run):
    small = ("--column", "flow", "--hidden", 2, "--epochs", 1, "--quiet", "--no-plot")
    done = run("train", "forecast", TABLES / "months_in_french.csv", *small)
    assert done.status == 0
    assert "note: the column 'date' is not read as times, it begins with 'janv. 2001': the rows are taken" in done.err


def test_there_are_enough_of_them():
    assert len(list(TABLES.glob("*.csv"))) >= 60
