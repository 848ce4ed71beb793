"""Recurrent networks on CPUs."""

from pylstm import _guard  # noqa: F401  (first: explains an import of the uncompiled source tree)
from pylstm.cells.cell import Cell
from pylstm.hookspecs import hookimpl
from pylstm.plugins import register

__all__ = ["Cell", "hookimpl", "register"]
