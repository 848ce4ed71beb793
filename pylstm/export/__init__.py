"""A net as one C file without dependencies: `c` for computers, `header` for microcontrollers."""

from typing import TYPE_CHECKING

from pylstm.export.writing import c, header
from pylstm.hints import absent

__all__ = ["c", "header"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
