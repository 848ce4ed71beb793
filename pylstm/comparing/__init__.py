"""Cells side by side: the same numbers of parameters, data and seeds."""

from typing import TYPE_CHECKING

from pylstm.comparing.comparison import Result, Settings, compare
from pylstm.comparing.sizing import hidden_size_for
from pylstm.comparing.tasks import Task, adding, copy, digits, text
from pylstm.hints import absent

__all__ = [
    "Result",
    "Settings",
    "Task",
    "adding",
    "compare",
    "copy",
    "digits",
    "hidden_size_for",
    "text",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
