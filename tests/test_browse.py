"""The check of the built site in a browser finds each fault that is planted, and nothing in a page without one."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

pytest.importorskip("selenium")

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "browse.py"
spec = importlib.util.spec_from_file_location("browse", SCRIPT)
browse = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browse)

needs_browser = pytest.mark.skipif(bool(browse.missing()), reason="needs chromium and chromedriver")

PAGE = "<!doctype html><html><head><meta charset=utf-8><title>t</title></head><body><article>{}</article></body></html>"
DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
FAULTS = {
    "broken": ('<img src="absent.png" alt="a picture">', "broken image: absent.png"),
    "silent": (f'<img src="{DOT}">', f"image without alt text: {DOT}"),
    "console": ("<script>console.error('planted')</script>", "planted"),
    "raises": ("<script>absent.call()</script>", "absent is not defined"),
    "outside": ('<script src="https://other.invalid/a.js"></script>', "asks another host: https://other.invalid/a.js"),
    "wide": ("<table><tr><td><div style='width: 600px'>w</div></table>", "scrolls sideways at 400 pixels, by "),
    "wider": ("<div style='width: 1300px'>w</div>", "scrolls sideways at 1280 pixels, by "),
    "formula": ("<mjx-merror>Double exponent</mjx-merror>", "formula: Double exponent"),
    "link": ('<a href="absent.html">l</a>', "link leads nowhere: /absent.html"),
    "place": ('<a href="good.html#absent">l</a>', "link leads nowhere: /good.html#absent"),
}


@needs_browser
def test_planted_faults_are_found(tmp_path):
    good = f'<p id="here">text</p><a href="good.html#here">l</a><img src="{DOT}" alt="a dot">'
    inside = "<div style='overflow-x: auto'><div style='width: 2000px'>w</div></div>"
    (tmp_path / "good.html").write_text(PAGE.format(good + inside))
    for name, (body, _) in FAULTS.items():
        (tmp_path / f"{name}.html").write_text(PAGE.format(body))
    pages, found = browse.browse(tmp_path)
    assert pages == 1 + len(FAULTS)
    for name, (_, fault) in FAULTS.items():
        assert any(each.startswith(f"{name}.html: ") and fault in each for each in found), (name, found)
    assert not [each for each in found if each.startswith("good.html: ")]


@needs_browser
def test_pictures_and_a_search_without_results(tmp_path):
    built, folder = tmp_path / "built", tmp_path / "pictures"
    built.mkdir()
    (built / "index.html").write_text(PAGE.format("text"))
    (built / "search.html").write_text(PAGE.format("<ul id=search-results></ul>"))
    _, found = browse.browse(built, folder, patience=0.5)
    assert found == ["search.html: nothing found for 'lstm'"]
    wanted = {"index-1440-light.png", "index-1440-dark.png", "index-400-light.png"}
    assert {file.name for file in folder.iterdir()} == wanted
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in folder.iterdir())


def test_a_machine_without_a_browser(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert browse.missing() == ["chromium", "chromedriver"]
    with pytest.raises(SystemExit, match="apt-get install chromium chromium-driver"), browse.browser():
        raise AssertionError("nothing to open")
