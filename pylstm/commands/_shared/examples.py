"""`with_examples`: examples at the end of the help of a command."""

from __future__ import annotations

import argparse
from typing import Any


class Help(argparse.HelpFormatter):
    """Formats help; the lines of examples stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if not text.startswith("examples:"):
            return super()._fill_text(text, width, indent)
        return "".join(f"{indent}{line}" for line in text.splitlines(keepends=True))


def with_examples(*lines: str, remark: str = "") -> dict[str, Any]:
    """Arguments of `add_parser` for examples, a line each, and a remark below them.

    Examples
    --------
    >>> with_examples("pylstm cells")["epilog"].splitlines()
    ['examples:', '  pylstm cells']
    """
    epilog = "\n".join(["examples:", *(f"  {line}" for line in lines), *(["", remark] if remark else [])])
    return {"epilog": epilog, "formatter_class": Help}
