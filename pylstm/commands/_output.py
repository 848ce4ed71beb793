"""How commands print lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def print_json(value: Any) -> None:
    """Print `value` as indented JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; an empty field becomes ``-``. The last column is not padded."""
    table = [[str(field) or "-" for field in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        print("  ".join(field.ljust(width) for field, width in zip(row, widths)).rstrip())
