"""The figures printed on the pages of docs/derivations are the ones that their code prints."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs/derivations"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "index.md")
FENCE = re.compile(r"^```(python|text)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([\w./-]+\.md)\)")


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_figures(page, capsys):
    namespace, printed, shown = {"__name__": page.stem}, "", 0
    for kind, body in FENCE.findall(page.read_text()):
        if kind == "python":
            exec(compile(body, str(page), "exec"), namespace)
            printed = capsys.readouterr().out
        else:
            assert lines(body) == lines(printed)
            shown += 1
    assert shown > 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_asserts(page):
    blocks = [body for kind, body in FENCE.findall(page.read_text()) if kind == "python"]
    assert blocks and all(re.search(r"^\s*assert ", body, re.M) for body in blocks)


def test_the_index_links_every_page_and_no_link_is_dead():
    index = (FOLDER / "index.md").read_text()
    assert {page.name for page in PAGES} <= set(LINK.findall(index))
    for page in (*PAGES, FOLDER / "index.md"):
        for target in LINK.findall(page.read_text()):
            assert (FOLDER / target).is_file(), f"{page.name}: {target}"
