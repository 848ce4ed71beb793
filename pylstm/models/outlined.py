"""`OutlinedNet`: the shapes within a `SequenceModel`, for its `summary`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pylstm.models.reading import features_of
from pylstm.summaries import Outlined, Shape, Step


class OutlinedNet(Outlined):
    """What comes in, what each part takes, and what the head returns; arrays are (N, T, ...), as those of `predict`."""

    __slots__ = ()

    embedding: Any
    layer: Any
    head: Any
    read: str

    def _takes(self) -> Shape:
        return ("N", "T") if self.embedding is not None else ("N", "T", self.layer.input_size)

    def _returns(self, takes: Shape) -> Shape:
        return (*(takes[:2] if self.read == "every" else takes[:1]), self.head.out_features)

    def _outline(self, takes: Shape | None) -> Iterator[tuple[str, Any, Shape | None]]:
        N, T, *_ = self._takes() if takes is None else takes
        if self.embedding is not None:
            yield "embedding", self.embedding, (N, T)
        yield "layer", self.layer, (N, T, self.layer.input_size)
        lead = (N, T) if self.read == "every" else (N,)
        seen = (*lead, features_of(self.read, self.layer.output_size))
        yield "read", Step(self.read, seen), None
        yield "head", self.head, seen
