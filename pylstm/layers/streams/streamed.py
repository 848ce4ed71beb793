"""`Streamed`: what makes streams of one layer."""

from __future__ import annotations

from typing import overload

from pylstm.engine.stream import Stream
from pylstm.hints import explained
from pylstm.layers.streams.online import OnlineStream, Rule


class Streamed:
    """The method `stream` of a layer."""

    @overload
    def stream(self, batch_size: int = 1, *, online: None = None) -> Stream: ...
    @overload
    def stream(self, batch_size: int = 1, *, online: Rule) -> OnlineStream: ...
    @explained("stream option")
    def stream(self, batch_size: int = 1, *, online: Rule | None = None) -> Stream | OnlineStream:
        """A stream of this layer: fed step by step, it keeps its states (at first 0) between calls.

        Parameters
        ----------
        batch_size : int
            Rows, each a sequence of its own.
        online : {"rtrl", "snap1", "eprop"}, optional
            How it learns while it is fed; default: it does not.

        Returns
        -------
        Stream, or with `online` OnlineStream

        Examples
        --------
        >>> import numpy as np, pylstm
        >>> stream = pylstm.LSTM(3, 5).stream()
        >>> stream.step(np.ones(3, "float32")).shape
        (5,)
        """
        return Stream(self, batch_size) if online is None else OnlineStream(self, batch_size, online)
