"""`picture`: the data flow of a cell as SVG, readable on light and dark pages; `alternative`: it in a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from flow import GATE, INPUT, STATE, VALUE, Box
from flow_rows import Place, arrange

SIZE, LETTER, LINE, LONGEST, SHORTEST = 13, 7.9, 18, 34, 18
"""Of the font: height, width of a letter; distance of lines, and most letters in one, of a gate fewer."""
EDGE, FOOT = 14, 30
KINDS = {INPUT: "inputs", STATE: "states", GATE: "gates", VALUE: "values"}
STYLE = """
.card { fill: #ffffff; stroke: #d0d7de }
text { fill: #1f2328; font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
.small { font-size: 10px }
.box { stroke-width: 1.3 } .new { stroke-width: 2.6 }
path:not(.head) { fill: none; stroke-width: 1.3 }
.input { fill: #ddf0ff; stroke: #0969da } .state { fill: #dcf5e3; stroke: #1a7f37 }
.gate { fill: #fff1d6; stroke: #9a6700 } .value { fill: #f0f1f3; stroke: #6e7781 }
.head { stroke: none; fill: #57606a }
@media (prefers-color-scheme: dark) {
  .card { fill: #161b22; stroke: #30363d }
  text { fill: #e6edf3 }
  .input { fill: #0c2d4d; stroke: #58a6ff } .state { fill: #0f3320; stroke: #3fb950 }
  .gate { fill: #3b2a0a; stroke: #d29922 } .value { fill: #262c36; stroke: #8b949e }
  .head { fill: #8b949e }
}
"""


def pieces(text: str) -> list[tuple[str, str]]:
    """Letters with what they are: ``""``, ``_`` for an index or ``^`` for an exponent."""
    parts = re.split(r"([_^]\{[^{}]*\})", text)
    return [(each[2:-1], each[0]) if each[1:2] == "{" and each[0] in "_^" else (each, "") for each in parts if each]


def width(text: str) -> float:
    return sum(len(letters) * LETTER * (10 / SIZE if kind else 1) for letters, kind in pieces(text))


def lines_of(text: str, most: int = LONGEST) -> list[str]:
    """Of at most `most` letters where there are spaces, the rest indented; an index is not broken."""
    words = re.findall(r"(?:[_^]\{[^{}]*\}|[^ ])+", text)
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]} {word}"
        if width(longer) <= most * LETTER:
            lines[-1] = longer
        else:
            lines.append(f"\u2003{word}")
    return lines


def line(text: str, x: float, y: float) -> str:
    """One line of text, its middle at x."""
    spans, start = [], x - width(text) / 2
    for letters, kind in pieces(text):
        small = ' class="small"' if kind else ""
        shift = {"_": 3, "^": -5, "": 0}[kind]
        spans.append(f'<tspan x="{start:.1f}" y="{y + shift:.1f}"{small}>{escape(letters)}</tspan>')
        start += width(text if not kind and letters == text else f"{kind}{{{letters}}}" if kind else letters)
    return f'<text xml:space="preserve">{"".join(spans)}</text>'


def lines_in(box: Box) -> list[str]:
    return lines_of(box.text, SHORTEST if box.kind == GATE else LONGEST)


def boxed(place: Place) -> list[str]:
    lines = lines_in(place.box)
    left, top = place.x - place.width / 2, place.y - place.height / 2
    new = " new" if place.box.kind == STATE and place.box.equation else ""
    shape = f'x="{left:.1f}" y="{top:.1f}" width="{place.width:.1f}" height="{place.height:.1f}" rx="6"'
    first = place.y - (len(lines) - 1) * LINE / 2 + 4.5
    return [
        f'<rect class="box {place.box.kind}{new}" {shape}/>',
        *(line(each, place.x, first + number * LINE) for number, each in enumerate(lines)),
    ]


def lines_between(rows: list[list[Place]]) -> list[str]:
    """From the lower edge of what is above to the upper edge; an arrow where it ends at a box."""
    found = []
    for row in rows:
        for place in row:
            over = sorted(place.above, key=lambda each: each.x)
            for number, each in enumerate(over):
                end = place.x + (place.width * (number + 1) / (len(over) + 1) - place.width / 2 if place.box else 0)
                found.append(_curve(rows, each, place, end))
    return found


def _curve(rows: list[list[Place]], start: Place, end: Place, x: float) -> str:
    half = max(place.height for place in rows[start.row]) / 2
    top, bottom = end.y - max(place.height for place in rows[end.row]) / 2, start.y + half
    middle, arrow = (top + bottom) / 2, 5 if end.box else 0
    kind = _origin(start).box.kind
    stop = end.y - end.height / 2
    way = f"M{start.x:.1f} {start.y + start.height / 2:.1f}L{start.x:.1f} {bottom:.1f}"
    way += f"C{start.x:.1f} {middle:.1f} {x:.1f} {middle:.1f} {x:.1f} {top - arrow:.1f}L{x:.1f} {stop - arrow:.1f}"
    drawn = f'<path class="{kind}" d="{way}"/>'
    return drawn + (f'<path class="head" d="M{x - 3.5:.1f} {stop - 6:.1f}h7l-3.5 6z"/>' if arrow else "")


def _origin(place: Place) -> Place:
    return place if place.box else _origin(place.above[0])


def legend(y: float, used: Sequence[str]) -> list[str]:
    found, x = [], 0.0
    for kind in (each for each in KINDS if each in used):
        found.append(f'<rect class="box {kind}" x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12" rx="3"/>')
        found.append(f'<text class="small" x="{x + 18:.1f}" y="{y:.1f}">{KINDS[kind]}</text>')
        x += 24 + len(KINDS[kind]) * 6.2 + 14
    return found


def picture(name: str, boxes: list[Box]) -> str:
    """The SVG."""
    sizes = {}
    for box in boxes:
        lines = lines_in(box)
        sizes[box.key] = max(width(each) for each in lines) + 22, len(lines) * LINE + 10
    rows = arrange(boxes, sizes)
    across = max(max(place.x + place.width / 2 for row in rows for place in row), 260)
    down = max(place.y + place.height / 2 for place in rows[-1])
    W, H = across + 2 * EDGE, down + FOOT + 2 * EDGE
    equations = "; ".join(plain(box.text) for box in boxes if box.equation)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W:.0f} {H:.0f}" width="{W:.0f}" height="{H:.0f}"',
        'role="img">',
        f"<title>{escape(name)}: data flow of one step</title>",
        f"<desc>{escape(equations)}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{W - 1:.0f}" height="{H - 1:.0f}" rx="8"/>',
        f'<g transform="translate({EDGE} {EDGE})">',
        *lines_between(rows),
        *(each for row in rows for place in row if place.box for each in boxed(place)),
        *legend(down + FOOT, [box.kind for box in boxes]),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Without braces: ``h_{t-1}`` is ``h_t-1``."""
    return re.sub(r"([_^])\{([^{}]*)\}", r"\1\2", text)


def alternative(name: str, boxes: list[Box]) -> str:
    """What the picture shows, for who does not see it."""
    ends = [plain(box.name) for box in boxes if box.kind == STATE and box.equation]
    starts = [plain(box.name) for box in boxes if not box.equation]
    gates = [plain(box.name) for box in boxes if box.kind == GATE]
    between = f" through the gates {', '.join(gates)}" if gates else ""
    return f"Data flow of one step of {name}: from {', '.join(starts)}{between} to {', '.join(ends)}"
