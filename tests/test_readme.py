"""The README: each block runs alone and prints what stands below it; links, picture and figures are there."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
from pathlib import Path

import pytest

from pylstm import plugins

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOW_FAST = (ROOT / "docs" / "how-fast.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", README, re.M | re.S)
NUMBER = re.compile(r"\d+\.\d+")
FIGURES = ROOT / "docs" / "jobs.json"
TASKS = {
    "text": "text",
    "wide text": "wide-text",
    "digits": "digits",
    "sensors": "sensors",
    "small batch": "small-batch",
}


@pytest.fixture
def part(monkeypatch):
    """Imports a part of the benchmarks by name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return lambda name: importlib.import_module(f"contest.{name}")


def about_the_same(printed, shown):
    """Line by line, but for fractions: an accuracy differs by a little from machine to machine."""
    numbers = [[float(each) for each in NUMBER.findall(text)] for text in (printed, shown)]
    return NUMBER.sub("#", printed) == NUMBER.sub("#", shown) and numbers[0] == pytest.approx(numbers[1], abs=0.025)


def test_what_is_about_the_same():
    assert about_the_same("0.970 of 3\n", "0.978 of 3\n")
    assert not about_the_same("0.930 of 3\n", "0.978 of 3\n")
    assert not about_the_same("0.978 of 4\n", "0.978 of 3\n")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_block_runs_alone_and_prints_what_is_shown(number, tmp_path, monkeypatch):
    """In a namespace, a registry and a folder of its own."""
    code, shown = BLOCKS[number]
    monkeypatch.setattr(plugins, "_plugins", plugins.Plugins())
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"README.md, block {number + 1}", "exec"), {"__name__": "block"})
    except ModuleNotFoundError as error:
        if (error.name or "pylstm").startswith("pylstm"):
            raise
        pytest.skip(f"needs {error.name}")
    assert shown and about_the_same(printed.getvalue(), shown), printed.getvalue()
    assert not any(tmp_path.iterdir())


def test_there_are_three_blocks_and_the_first_is_short():
    assert len(BLOCKS) == 3
    assert len(BLOCKS[0][0].splitlines()) <= 10
    assert len(README.splitlines()) <= 150


def test_the_two_commands_of_ci_stand_together():
    two = r"^pip install '\.\[test\]' && pylstm train text\b.*\npytest\b"
    assert re.search(two, README, re.M)
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "$wheel[test]" in ci and "pylstm train text" in ci and "pytest -q" in ci


def anchors(page):
    """Of the headings of a page, as GitHub and myst name them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_all_that_is_linked_exists():
    links = re.findall(r"\]\(([^)\s]+)\)", README) + re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert len(links) > 40
    for link in links:
        assert not link.startswith(("http:", "/")), link
        name, _, anchor = link.partition("#")
        page = ROOT / name if name else ROOT / "README.md"
        assert page.exists(), link
        assert not anchor or anchor in anchors(page), link


def test_every_promise_of_why_links_its_proof():
    """A test, or a page whose blocks are run; or names the command."""
    (why,) = re.findall(r"^## Why\n(.*?)^## ", README, re.M | re.S)
    promises = re.split(r"^- ", why, flags=re.M)[1:]
    assert len(promises) >= 6
    for promise in promises:
        for sentence in re.split(r"(?<=\.)\s+", promise.partition("** ")[2].strip()):
            assert "](" in sentence or "`pylstm " in sentence, sentence


# --- the chart and the table of jobs ---------------------------------------------------------------------------------


def test_every_place_that_is_slow_has_its_command():
    """A file of the benchmarks, whose options it knows; or a class for asv."""
    (table,) = re.findall(r"^## Where not\n.*?\n(\|.*?)\n\n", HOW_FAST, re.M | re.S)
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]
    assert len(rows) > 20
    asv = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("benchmarks/bench_*.py"))
    for _, figure, command in rows:
        assert re.search(r"\d|below", figure), figure
        for name, options in re.findall(r"benchmarks/(\w+)\.py([^`]*)`", command):
            source = (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
            assert all(f'"{option}"' in source for option in re.findall(r"--[a-z]+", options)), command
        for name in re.findall(r"asv run .*-b (\w+)", command):
            assert f"class {name}:" in asv, command
        assert re.search(r"benchmarks/|asv run|`tape_width", command), command


def measured():
    """Milliseconds by kind, cell, job and library, as tables print them."""
    found = json.loads(FIGURES.read_text(encoding="utf-8"))
    return {
        (kind, cell, row["size"]): {name: each["median"] for name, each in row["contestants"].items()}
        for work in found["works"]
        for cell, kind in [work["name"].split("-")]
        for row in work["rows"]
    }


CELLS = {"LSTM": "lstm", "GRU": "gru", "formula": "formula"}


def test_the_table_of_the_readme_is_that_of_the_figures(part):
    milliseconds = part("table").milliseconds
    rows = re.findall(r"^\| ((?:wide )?\w+(?: batch)?): \d[\d, ]* \|(.*)\|$", README, re.M)
    assert {name for name, _ in rows} == {*TASKS}
    for name, cells in rows:
        wanted = [
            milliseconds({"median": measured()[("train", cell, TASKS[name])][library]})
            for cell in CELLS.values()
            for library in ("pylstm", "torch", "jax")
        ]
        assert [each.strip() for each in cells.split("|")] == wanted, name


def test_the_tables_of_the_page_are_those_of_the_figures(part):
    milliseconds, number = part("table").milliseconds, part("table").number
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"^\| (?:LSTM|GRU|formula) \|.*$", HOW_FAST, re.M)]
    found = measured()
    kinds = ["train"] * 15 + ["infer"] * 9
    assert len(rows) == len(kinds) == len(found)
    for kind, (cell, job, *cells) in zip(kinds, rows):
        times = found[(kind, CELLS[cell], TASKS[job])]
        ratio = min(time for name, time in times.items() if name != "pylstm") / times["pylstm"]
        assert cells == [*(milliseconds({"median": time}) for time in times.values()), number(ratio)], (kind, cell, job)


@pytest.mark.parametrize("name", ["jobs.svg", "jobs-dark.svg"])
def test_the_chart_is_that_of_the_figures(name, part):
    picture = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert len(picture) < 100_000
    for work in json.loads(FIGURES.read_text(encoding="utf-8"))["works"]:
        for _, _, ratio in part("jobs.bars").bars(work):
            assert f">{part('jobs.bars').number(ratio)}<" in picture


def test_what_the_picture_shows_is_said_in_words():
    """Whoever is behind is in the text beside it."""
    (alt,) = re.findall(r'<img src="docs/jobs.svg"[^>]* alt="([^"]+)"', README)
    assert len(alt) > 100 and "ONNX Runtime" in alt
    behind = [
        (cell, job)
        for (kind, cell, job), times in measured().items()
        if min(time for name, time in times.items() if name != "pylstm") < times["pylstm"]
    ]
    assert behind and all(job.replace("-", " ") in README for _, job in behind)


# --- on a package index ----------------------------------------------------------------------------------------------


def test_links_are_absolute_for_a_page_that_is_elsewhere(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    text = importlib.import_module("absolute_links").absolute(README, "https://example.org/us/", "v1.2.3")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert "https://example.org/us/blob/v1.2.3/docs/how-fast.md#where-not" in links
    assert all(link.startswith(("https://example.org/us/blob/v1.2.3/", "#")) for link in links)
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', text)
    assert pictures == [f"https://example.org/us/raw/v1.2.3/docs/{name}.svg" for name in ("jobs-dark", "jobs")]
    assert importlib.import_module("absolute_links").absolute(text, "https://example.org/us/", "v1.2.3") == text
