"""Links of all pages: files and headings are there; those to other sites, which no test can ask, are well-formed."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ("_build", "gallery")
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("docs/**/*.md")]
    if not set(GENERATED) & set(page.parts)
)
LINK = re.compile(r"(?<!!)\[(?:[^][]|\[[^]]*\])*\]\(<?([^)\s>]+)>?\)")
BARE = re.compile(r"<(\w+://[^>]+)>|(?<![(<\w])(https?://[^\s)>`\"']+)")
HOST = re.compile(r"([a-z0-9-]+\.)+[a-z]{2,}")
CARD = re.compile(r"^:link: (\S+)$", re.M)


def without_code(text):
    return re.sub(r"`[^`\n]+`", "`code`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def links(page):
    """As they are written, of Markdown and of cards."""
    text = page.read_text(encoding="utf-8")
    cards = [f"{each}.md" for each in CARD.findall(text)]
    return cards + LINK.findall(without_code(text))


def places(page):
    """Of the headings of a page, as GitHub and MyST name them, and those that have a name."""
    text = page.read_text(encoding="utf-8")
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    titles = [re.sub(r"\[([^]]*)\]\([^)]*\)|[`*$\\]", r"\1", each) for each in re.findall(r"^#+ (.*)$", plain, re.M)]
    named = re.findall(r"^\(([\w-]+)\)=$", text, re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).strip().replace(" ", "-") for each in titles} | set(named)


def fault(link, page):
    """What is wrong with a link, or None."""
    if re.match(r"\w+:", link):
        return fault_outside(link)
    name, _, place = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if GENERATED[1] in target.parts and target.name != "README.md":
        return None  # written by the build, which checks it
    if not target.exists():
        return "no such file"
    if not name and place.startswith(("family-", "speed")):
        return None
    return f"no heading #{place}" if place and place not in places(target) else None


def fault_outside(link):
    """Of a link to another site: its form, and for GitHub, arXiv and DOIs that of what is linked there."""
    parts = urlsplit(link)
    wanted = {
        "github.com": r"/[\w-]+/[\w.-]+(/(blob|tree|raw|issues|pull|releases|discussions|commit)(/.+)?)?/?",
        "arxiv.org": r"/(abs|pdf)/(\d{4}\.\d{4,5}|[a-z-]+/\d{7})(v\d+)?",
        "doi.org": r"/10\.\d{4,9}/\S+",
    }
    if parts.scheme != "https":
        return "not https"
    if not HOST.fullmatch(parts.netloc):
        return "no host"
    if re.search(r"[.,;:!?'\"]$|\s|//", parts.path + parts.fragment):
        return "ends in punctuation, or has a space or an empty part"
    pattern = wanted.get(parts.netloc.removeprefix("www."))
    return None if pattern is None or re.fullmatch(pattern, parts.path) else f"not a page of {parts.netloc}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    found = {link: fault(link, page) for link in links(page)}
    bare = [one or other for one, other in BARE.findall(re.sub(r"`[^`\n]+`", "", page.read_text(encoding="utf-8")))]
    found |= {link: fault_outside(link.rstrip(".,;:")) for link in bare if "127.0.0.1" not in link}
    assert not {link: what for link, what in found.items() if what}


def test_there_are_links():
    assert len(PAGES) > 60 and sum(len(links(page)) for page in PAGES) > 250


@pytest.mark.parametrize(
    ("link", "what"),
    [
        ("absent.md", "no such file"),
        ("docs/index.md#nowhere", "no heading"),
        ("#no-such-heading", "no heading"),
        ("docs/how-fast.md#where-not", None),
        ("http://github.com/pytorch/pytorch", "not https"),
        ("https://github.com/pytorch", "not a page of github.com"),
        ("https://github.com/pytorch/pytorch/blobs/main/a.py", "not a page of github.com"),
        ("https://github.com/pytorch/pytorch/blob/main/a.py", None),
        ("https://arxiv.org/abs/1412.35555", None),
        ("https://arxiv.org/abs/14.3555", "not a page of arxiv.org"),
        ("https://doi.org/10.1162/neco.1997.9.8.1735", None),
        ("https://doi.org/neco.1997", "not a page of doi.org"),
        ("https://readthedocs/x", "no host"),
        ("https://asv.readthedocs.io/a.", "ends in punctuation"),
        ("https://asv.readthedocs.io//a", "ends in punctuation"),
    ],
)
def test_what_is_wrong_with_a_link(link, what):
    found = fault(link, ROOT / "README.md")
    assert found is None if what is None else found.startswith(what)
