"""Files of a row or two go on with the times of the training, and files of other times are refused in English."""

import numpy as np
import pytest

SMALL = ["--time-column", "when", "--hidden", 2, "--epochs", 1, "--quiet", "--no-plot", "--hold-out", 4]
T = 60
VALUES = 10 + 0.1 * np.arange(T) + np.random.default_rng(0).normal(size=T)
DAYS = np.datetime64("2020-01-01") + np.arange(T + 3)
MONTHS = np.datetime64("2020-01") + np.arange(T + 3)
TIMES = {
    "days": DAYS.astype(str),
    "days or months": [f"{day[8:]}/{day[5:7]}/{day[:4]}" for day in (DAYS + 33).astype(str)],
    "months": [month.replace("-", "") for month in MONTHS.astype(str)],
    "month ends": ((MONTHS + 1).astype("M8[D]") - 1).astype(str),
    "business days": np.busday_offset("2020-01-01", np.arange(T + 3)).astype(str),
    "minutes": [
        f"{each} +01:00".replace(" +", "+") for each in (DAYS[0].astype("M8[m]") + np.arange(T + 3)).astype(str)
    ],
    "counter": [str(2 * k + 1) for k in range(T + 3)],
    "years": [str(1960 + k) for k in range(T + 3)],
    "quarters": [f"{1990 + k // 4}Q{k % 4 + 1}" for k in range(T + 3)],
}


def written(path, times, values=VALUES, **more):
    columns = {"when": times, "flow": values[: len(times)], **more}
    rows = zip(*columns.values())
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def trained(run, path, *options):
    assert run("train", "forecast", path, *SMALL, "--save", "net.safetensors", *options).status == 0


@pytest.mark.filterwarnings("ignore:in the back-test")
@pytest.mark.parametrize("kind", TIMES)
def test_a_file_of_few_rows_goes_on_as_the_training_does(run, tmp_path, kind):
    times = TIMES[kind]
    trained(run, written(tmp_path / "all.csv", times[:T]))
    for rows in (1, 2, 3):
        later = written(tmp_path / "later.csv", times[T - rows : T])
        done = run("predict", "net.safetensors", later, "--steps", 3)
        assert done.status == 0, done.err
        lines = done.out.splitlines()
        assert lines[0] == "when,flow" and [line.split(",")[0] for line in lines[1:]] == list(times[T:])


def test_each_id_goes_on(run, tmp_path):
    times = TIMES["month ends"]
    both = written(tmp_path / "all.csv", [*times[:T], *times[:T]], [*VALUES, *VALUES], shop=["a"] * T + ["b"] * T)
    trained(run, both, "--id", "shop")
    later = written(tmp_path / "later.csv", times[T - 2 : T], shop=["b", "a"])
    done = run("predict", "net.safetensors", later, "--steps", 1)
    assert [line.split(",")[:2] for line in done.out.splitlines()] == [
        ["shop", "when"],
        ["a", times[T]],
        ["b", times[T - 1]],
    ]


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        ("months", ["1", "2", "3"], "has numbers that rise by 1, the model was trained on steps of a month"),
        ("months", ["7"], "has the number 7, the model was trained on steps of a month"),
        ("months", ["202101", "202102", "202103", "202113"], "line 5, column 1 ('when'): '202113' is not a month"),
        ("counter", TIMES["months"][:9], "has steps of a month, the model was trained on numbers that rise by 2"),
        ("counter", ["201", "202"], "has numbers that rise by 1, the model was trained on numbers that rise by 2"),
        ("days", ["202101"], "has months, the model was trained on steps of a day"),
        (
            "days",
            ["2020-04-01 00:00", "2020-04-01 12:00"],
            "has steps of 12 hours, the model was trained on steps of a",
        ),
        ("business days", ["2020-03-28"], "'2020-03-28': is not a business day"),
    ],
)
def test_a_file_of_other_times_is_refused(run, tmp_path, kind, given, text):
    trained(run, written(tmp_path / "all.csv", TIMES[kind][:T]))
    later = written(tmp_path / "later.csv", given)
    for command in ("predict", "evaluate"):
        done = run(command, "net.safetensors", later)
        assert (done.status, done.out) == (2, "") and text in done.err and "--fill none" in done.err
    done = run("predict", "net.safetensors", later, "--steps", 1, "--fill", "none")
    assert done.status == 0 and done.out.count("\n") == 2


def test_months_that_are_none(run, tmp_path):
    times = [*TIMES["months"][:T]]
    times[12] = "202013"
    path = written(tmp_path / "typo.csv", times)
    done = run("train", "forecast", path, *SMALL)
    assert (
        done.status == 2 and "typo.csv, line 14, column 1 ('when'): '202013' is not a month, as '202001' is" in done.err
    )
    counter = written(tmp_path / "counter.csv", range(202001, 202021))
    done = run("train", "forecast", counter, *SMALL)
    assert "where these numbers count steps, --fill none takes the rows as equal steps" in done.err
    trained(run, counter, "--fill", "none")
    assert run("predict", "net.safetensors", "--steps", 1).out.startswith("when,flow\n202021,")
    trained(run, written(tmp_path / "floats.csv", [f"{each}.0" for each in TIMES["months"][:T]]))
    assert run("predict", "net.safetensors", "--steps", 1).out.startswith("when,flow\n202501,")


def test_a_file_without_the_times_of_the_training(run, tmp_path):
    trained(run, written(tmp_path / "all.csv", TIMES["days"][:T]))
    path = tmp_path / "bare.csv"
    path.write_text("\n".join(["flow", *map(str, VALUES)]) + "\n")
    done = run("predict", "net.safetensors", path)
    assert "unknown column 'when' (known: 'flow'), which has the times of the training: --time-column names" in done.err
    done = run("predict", "net.safetensors", path, "--steps", 1, "--fill", "none")
    assert done.out.startswith("step,flow\n61,")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("inf", "line 5, column 1 ('when'): 'inf' is neither a number nor a date"),
        ("", "line 5, column 1 ('when'): the field is empty: fill it, or delete the line"),
        (
            "2020-02-30",
            "line 5, column 1 ('when'): '2020-02-30' is not a day or a time of the calendar as %Y-%m-%d: correct",
        ),
    ],
)
def test_a_time_that_is_none(run, tmp_path, field, text):
    times = np.arange(T) if field == "inf" else TIMES["days"][:T]
    path = written(tmp_path / "all.csv", [*times[:3], field, *times[4:]])
    assert text in run("train", "forecast", path, *SMALL).err
