"""`page_of`: one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto; padding: 1rem;
       max-width: 1200px; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; border-bottom: 1px solid #ccc; margin-top: 2.5rem; }
.found { border-left: 5px solid #d55e00; background: #fdf1ea; margin: .7rem 0; padding: .6rem .9rem; }
.well { border-left: 5px solid #009e73; background: #eaf6f2; margin: .7rem 0; padding: .6rem .9rem; }
.pictures { columns: 480px; column-gap: 2rem; }
figure { margin: 0; padding-bottom: 1.5rem; break-inside: avoid; }
img { width: 100%; max-width: 620px; height: auto; display: block; }
figcaption { color: #444; font-size: .9rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; overflow-wrap: normal; }
caption { padding-bottom: .4rem; } code { font-size: .85rem; }
th, td { padding: .15rem .9rem .15rem 0; white-space: nowrap; } tbody tr { border-top: 1px solid #e5e5e5; }
@media (max-width: 600px) { table { font-size: .75rem; } th, td { padding-right: .45rem; } }
th code, caption code { white-space: normal; overflow-wrap: anywhere; }
"""


Part = tuple[str, list[Any], str, list[tuple[str, str]]]


def page_of(title: str, lead: str, summary: str, results: list[tuple[str, str]], parts: Iterable[Part]) -> str:
    """The page.

    Parameters
    ----------
    title, lead : str
        Texts.
    summary : str
        HTML.
    results : list of (caption, image)
        Of the whole model.
    parts : iterable of (name, findings, table, pictures)
        Of every layer; `table` is HTML, `pictures` are captions and images.
    """
    parts = list(parts)
    said = [f'<p class="found">{escape(_sentence(str(each)))}.</p>' for _, findings, *_ in parts for each in findings]
    if not said and parts:
        said = ['<p class="well">Nothing stands out: gates move, values are finite, gradients arrive.</p>']
    lines = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(title)}</h1>\n<p>{escape(lead)}</p>",
        *(["<h2>What stands out</h2>"] if parts else []),
        *said,
        f'<h2>Parameters</h2>\n<div class="wide">{summary}</div>',
    ]
    if results:
        lines.append(f"<h2>Results</h2>\n{_pictures(results)}")
    for name, _, table, pictures in parts:
        lines.append(f'<h2>{escape(_sentence(name))}</h2>\n{_pictures(pictures)}\n<div class="wide">{table}</div>')
    return "\n".join([*lines, "</body>\n</html>\n"])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _pictures(pictures: list[tuple[str, str]]) -> str:
    figures = [f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>" for caption, image in pictures]
    return "\n".join(['<div class="pictures">', *figures, "</div>"])
