"""A net as one C file without dependencies: `c` for computers, `header` for microcontrollers."""

from pylstm.export.writing import c, header

__all__ = ["c", "header"]
