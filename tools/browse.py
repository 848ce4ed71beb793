"""Open every page of the built site in a headless Chromium, without a network, and report what is wrong for a reader.

    python tools/browse.py BUILT [--screenshots FOLDER]

BUILT is what ``sphinx-build -b html docs BUILT`` has written. Of each page: errors of the console, requests to another
host, images that are broken or have no alt text, formulas that cannot be typeset, links that lead nowhere, and at 1440,
1280 and 400 pixels whether it scrolls sideways; of the site: whether the search finds something. Exit status 1 if there
is a fault. FOLDER gets pictures of five pages, wide and narrow, light and dark.

It needs `selenium` (extra `browser`), Chromium and its driver; on Debian: apt-get install chromium chromium-driver.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

WIDTHS = (1440, 1280, 400)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PICTURED = ("index", "gallery/index", "gallery/lstm", "tutorials/why-not-learning", "api/layers")
"""Pages of the screenshots."""
FLAGS = (
    "--headless",
    "--no-sandbox",  # of the system, which root and containers cannot use
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

SETTLED = """
const done = arguments[0];
const images = [...document.images].map((each) => { each.loading = 'eager'; return each.decode().catch(() => null); });
const formulas = window.MathJax && MathJax.startup ? MathJax.startup.promise : null;
Promise.all([...images, formulas, document.fonts.ready]).then(() => done(true));
"""
"""Waits for what a page loads late."""

LOOK = """
const named = (each) => each.getAttribute('src') || '';
const images = [...document.images];
const pictures = images.filter((each) => each.closest('article'));
return {
  broken: images.filter((each) => !each.naturalWidth).map(named),
  silent: pictures.filter((each) => !each.alt.trim() || each.alt.includes('_images/')).map(named),
  formulas: [...document.querySelectorAll('mjx-merror')].map((each) => each.textContent),
  requests: performance.getEntriesByType('resource').map((each) => each.name),
  links: [...document.links].map((each) => each.href),
};
"""

TOO_WIDE = """
const room = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth <= room && document.body.scrollWidth <= room) return null;
const scrolls = (each) => {
  for (let box = each.parentElement; box; box = box.parentElement)
    if (box !== document.body && getComputedStyle(box).overflowX !== 'visible' && box.tagName !== 'HTML') return true;
  return false;
};
const wide = [...document.body.querySelectorAll('*')].filter(
  (each) => each.getBoundingClientRect().right > room + 1 && !scrolls(each));
const last = wide.filter((each) => !wide.some((other) => other !== each && each.contains(other)))[0];
const name = last ? `${last.tagName.toLowerCase()}.${last.className}: ${last.textContent.trim().slice(0, 40)}` : '?';
return [document.documentElement.scrollWidth - room, name];
"""


class Quiet(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/favicon.ico":  # browsers ask for it where a page names none
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of this folder, which only this machine hears."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def missing() -> list[str]:
    """Programs that are wanted and absent."""
    browser = [] if any(map(shutil.which, BROWSERS)) else ["chromium"]
    return browser + ([] if shutil.which("chromedriver") else ["chromedriver"])


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium with a profile of its own, which resolves no name."""
    if missing():
        raise SystemExit(f"needs {' and '.join(missing())}; on Debian: apt-get install chromium chromium-driver")
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        driver.set_script_timeout(60)
        try:
            yield driver
        finally:
            driver.quit()


def resize(driver: Any, width: int, height: int = 900) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def console(driver: Any) -> list[str]:
    """Errors since the last call. A request that failed is one of them."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


@cache
def text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def leads_nowhere(address: str, base: str, folder: Path) -> bool:
    """Whether a link of the site has no file, or its page no such place."""
    if not address.startswith(base):
        return False
    parts = urlsplit(address)
    file = folder / unquote(parts.path).lstrip("/")
    file = file / "index.html" if file.is_dir() else file
    if not file.is_file():
        return True
    place = unquote(parts.fragment)
    return bool(place) and file.suffix == ".html" and f'id="{place}"' not in text_of(file)


def faults_of(driver: Any, name: str, base: str, folder: Path) -> Iterator[str]:
    """Everything that is wrong with one page."""
    resize(driver, WIDTHS[0])
    driver.get(base + name)
    driver.execute_async_script(SETTLED)
    found = driver.execute_script(LOOK)
    yield from (f"console: {message}" for message in console(driver))
    yield from (f"asks another host: {url}" for url in found["requests"] if url.startswith("http") and base not in url)
    yield from (f"broken image: {each}" for each in found["broken"])
    yield from (f"image without alt text: {each}" for each in found["silent"])
    yield from (f"formula: {each}" for each in found["formulas"])
    links = sorted(set(found["links"]))
    yield from (f"link leads nowhere: /{each[len(base) :]}" for each in links if leads_nowhere(each, base, folder))
    for width in WIDTHS:
        resize(driver, width)
        if wide := driver.execute_script(TOO_WIDE):
            yield f"scrolls sideways at {width} pixels, by {wide[0]}: {wide[1]}"


def searched(driver: Any, base: str, seconds: float, word: str = "lstm") -> list[str]:
    """What is wrong with the search."""
    driver.get(f"{base}search.html?q={word}")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if driver.execute_script("return document.querySelectorAll('#search-results li a').length"):
            return [f"console: {message}" for message in console(driver)]
        time.sleep(0.2)
    return [f"nothing found for {word!r}"]


def take_pictures(driver: Any, base: str, pages: list[str], folder: Path) -> None:
    """Wide and narrow, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in pages:
        driver.get(base + name)
        driver.execute_async_script(SETTLED)
        for width, theme in ((1440, "light"), (1440, "dark"), (400, "light")):
            driver.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
            resize(driver, width)
            time.sleep(0.5)  # colours fade
            taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            file = folder / f"{name.removesuffix('.html').replace('/', '-')}-{width}-{theme}.png"
            file.write_bytes(base64.b64decode(taken["data"]))


def browse(folder: Path, screenshots: Path | None = None, patience: float = 20) -> tuple[int, list[str]]:
    """Number of pages, and their faults."""
    folder = folder.resolve()
    files = sorted(file.relative_to(folder) for file in folder.rglob("*.html"))
    pages = [str(file) for file in files if not file.parts[0].startswith("_")]
    faults = []
    with served(folder) as base, browser() as driver:
        for name in pages:
            faults += [f"{name}: {fault}" for fault in faults_of(driver, name, base, folder)]
        if "search.html" in pages:
            faults += [f"search.html: {fault}" for fault in searched(driver, base, patience)]
        if screenshots:
            take_pictures(driver, base, [f"{name}.html" for name in PICTURED if f"{name}.html" in pages], screenshots)
    return len(pages), faults


def main() -> int:
    parser = argparse.ArgumentParser(description="Open every page of the built site and report what is wrong.")
    parser.add_argument("built", type=Path)
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of five pages")
    arguments = parser.parse_args()
    begin = time.monotonic()
    pages, faults = browse(arguments.built, arguments.screenshots)
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{pages} pages, {len(faults)} faults, {time.monotonic() - begin:.0f} s")
    return 1 if faults or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
