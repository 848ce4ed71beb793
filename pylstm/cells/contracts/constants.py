"""Values of the constants of a cell, at the sizes of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from pylstm.cells.widths import Widths


def constant_value(cell: Any, name: str, sizes: Mapping[str, int]) -> Any:
    """Value of a constant; of a part of a complex one, that part."""
    declared = name if name in cell.constants else name[:-3]
    value = cell.constants[declared]
    value = value(SimpleNamespace(**sizes)) if callable(value) else value
    return value if declared == name else np.real(value) if name.endswith("_re") else np.imag(value)


def held_constants(cell: Any, widths: Widths) -> dict[str, np.ndarray]:
    """The constants per unit as every layer of these sizes has them, exact in float32.

    Those with a `domain` may be others, and those whose array is for other sizes are not known.
    """
    found = {}
    for name in set(cell.contract.constants) & set(cell.contract.params) - set(cell.contract.domain):
        try:
            array = np.asarray(constant_value(cell, name, widths.sizes), np.float32).astype(np.float64)
            array = np.broadcast_to(array, (widths[name],)).copy()
        except Exception:  # the function is the user's, and may be for larger sizes: the layer says what is wrong
            continue
        if np.isfinite(array).all():
            found[name] = array
    return found
