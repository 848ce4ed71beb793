"""Formulas of the gallery in lines that fit: what is too long goes on in the next line, at a sign or a product."""

from __future__ import annotations

import re

LONGEST = 31
"""Letters in a line, about: as many as a telephone shows."""
INNER = r"\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)\}"
FRACTION = re.compile(rf"\\frac{INNER}{INNER}")
SMALL = re.compile(r"[_^](?:\{((?:[^{}]|\{[^{}]*\})*)\}|(\w))")
BREAK = re.compile(r"\\begin\{cases\}|\\end\{cases\}|[{(\[]|[})\]]| [+-] | \\, ")


def letters(formula: str) -> float:
    """About how wide it is, in letters: an index is smaller, a fraction as wide as its wider part."""
    while found := FRACTION.search(formula):
        formula = formula[: found.start()] + max(found[1], found[2], key=letters) + formula[found.end() :]
    indices = "".join(one or other for one, other in SMALL.findall(formula))
    return plain(SMALL.sub("", formula)) + 0.7 * plain(indices)


def plain(formula: str) -> int:
    """Without indices and fractions; a sign has room on both sides."""
    formula = re.sub(r"\\(?:left|right|quad|mathit|operatorname|textstyle|text|lvert|rvert|,)", "", formula)
    formula = re.sub(r"\\(?!tanh|log|exp|max|min|sin|cos)[A-Za-z]+", "x", formula)
    return len(re.sub(r"[\s{}&\\]", "", formula)) + len(re.findall(r"[-+=]", formula))


def parts(formula: str, of: str) -> list[str]:
    """Of a sum, each with its sign, or of a product: what is in brackets stays together."""
    found, depth, last = [], 0, 0
    for each in BREAK.finditer(formula):
        if each[0] in "{([" or each[0].startswith("\\begin"):
            depth += 1
        elif each[0] in "})]" or each[0].startswith("\\end"):
            depth -= 1
        elif depth == 0 and each[0].strip() in of:
            found.append(formula[last : each.start()].strip())
            last = each.start()
    return [*found, formula[last:].strip()]


def packed(pieces: list[str], room: float) -> list[str]:
    """As many of them in a line as there is room for."""
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if letters(f"{lines[-1]} {piece}") > room:
            lines.append(piece)
        else:
            lines[-1] += f" {piece}"
    return lines


def folded(line: str, most: float = LONGEST) -> str:
    """A line of an ``aligned`` formula, in several where it is longer than `most`."""
    left, relation, right = line.partition(" &= ")
    if not relation or letters(line) <= most:
        return line
    end = " \\\\" if right.endswith(" \\\\") else ""
    room = most - letters(left) - 2
    lines = []
    for term in packed(parts(right.removesuffix(end), "+-"), room):
        opened = re.match(r"(?:[+-] )?-?\(", term)
        start, inner = (opened[0], term[opened.end() :]) if opened and term.endswith(")") else ("", term)
        pieces = packed(parts(inner, "\\,"), room) if letters(term) > room else [inner]
        lines += [start + pieces[0], *pieces[1:]]
    lines = [re.sub(r"^\\, ", r"\\cdot ", each) for each in lines]
    return left + relation + " \\\\\n  &\\quad ".join(lines) + end


def narrow(page: str) -> str:
    """A page whose formulas are folded."""
    return re.sub(r"^  .* &= .*$", lambda found: folded(found[0]), page, flags=re.M)
