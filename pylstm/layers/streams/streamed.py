"""`Streamed`: what makes streams of one layer."""

from __future__ import annotations

from typing import overload

from pylstm.engine.stream import Stream
from pylstm.engine.whole import count_in
from pylstm.hints import explained
from pylstm.layers.inputs.saturated import Counts, refuse_to_count
from pylstm.layers.streams.online import OnlineStream, Rule


class Streamed:
    """The method `stream` of a layer."""

    @overload
    def stream(self, batch_size: int = 1, *, online: None = None, saturation: bool | float = False) -> Stream: ...
    @overload
    def stream(self, batch_size: int = 1, *, online: Rule) -> OnlineStream: ...
    @explained("stream option")
    def stream(
        self, batch_size: int = 1, *, online: Rule | None = None, saturation: bool | float = False
    ) -> Stream | OnlineStream:
        """A stream of this layer: fed step by step, it keeps its states (at first 0) between calls.

        Parameters
        ----------
        batch_size : int
            Rows, each a sequence of its own.
        online : {"rtrl", "snap1", "eprop"}, optional
            How it learns while it is fed; default: it does not.
        saturation : bool or float, optional
            Count how often gates are near the ends of their ranges, for `pylstm.diagnostics.saturation` of the stream;
            a fork of it counts nothing. The counts are of all that the stream was fed: `reset` and `restore` leave
            them as they are. A number: its threshold, for True 0.05. Not with `online`.

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
        refuse_to_count(online, saturation)
        if online is not None:
            return OnlineStream(self, batch_size, online)
        stream = Stream(self, batch_size)
        if saturation is not False:
            count_in(stream, Counts.of(self, saturation))
        return stream
