"""Tables as HTML, for notebooks and pages: `table`, `Heading`, `cell_text`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

STYLE = "text-align: left; font-variant-numeric: tabular-nums"


class Heading(str):
    """The name of what a row is about."""

    __slots__ = ()


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[Any]], foot: str = "") -> str:
    """A table as HTML; texts are escaped. A row of one cell spans all columns: a heading.

    Parameters
    ----------
    caption : str
    header : sequence of str
    rows : iterable of sequences
        Numbers and texts.
    foot : str
        A line below it.

    Examples
    --------
    >>> table("LSTM", ["name", "number"], [["<b>", 1234]]).count("<tr>")
    2
    >>> "<td>&lt;b&gt;</td><td>1,234</td>" in table("LSTM", ["name", "number"], [["<b>", 1234]])
    True
    """
    lines = [f'<table class="pylstm" style="{STYLE}">']
    lines.append(f'<caption style="text-align: left"><code>{escape(caption)}</code></caption>')
    lines.append("<thead><tr>" + "".join(f"<th>{escape(each)}</th>" for each in header) + "</tr></thead>")
    lines.append("<tbody>")
    for row in rows:
        if len(row) == 1 < len(header):
            lines.append(f'<tr><th colspan="{len(header)}"><code>{escape(str(row[0]))}</code></th></tr>')
        else:
            lines.append("<tr>" + "".join(map(_cell, row)) + "</tr>")
    lines.append("</tbody>")
    if foot:
        lines.append(f'<tfoot><tr><td colspan="{len(header)}">{escape(foot)}</td></tr></tfoot>')
    return "\n".join([*lines, "</table>"])


def _cell(value: Any) -> str:
    text = escape(cell_text(value))
    return f'<th scope="row"><code>{text}</code></th>' if isinstance(value, Heading) else f"<td>{text}</td>"


def cell_text(value: Any) -> str:
    """A number with four digits or with commas; anything else as `str` has it.

    Examples
    --------
    >>> cell_text(1234567), cell_text(0.123456), cell_text((2, 3))
    ('1,234,567', '0.1235', '(2, 3)')
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
