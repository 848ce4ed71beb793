"""Layers: parameters, the recurrent layer and its runs, heads and losses."""

from typing import TYPE_CHECKING

from pylstm.hints import absent

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
