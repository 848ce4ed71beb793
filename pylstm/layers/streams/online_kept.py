"""`Kept`: what a stream that learns knows of the past, taken out, put back, forked and pickled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from pylstm.checks import Array, quoted
from pylstm.engine.stream import Snapshot
from pylstm.layers.streams.online_parts import alone


class Kept:
    """The past of an `OnlineStream`: `state_dict`, `snapshot` and `fork`."""

    _layer: Any
    _batch_size: int
    _online: str
    _parts: Any
    _chain: Any
    _rule: Any
    _kind: dict[str, Any]

    def _past(self) -> dict[str, Array]:
        """Tapes and influence by name: the arrays themselves."""
        tapes: dict[str, Array] = {f"tape{k}": part.online.tape for k, part in enumerate(self._parts)}
        tapes |= self._rule.arrays()
        return tapes

    @alone
    def state_dict(self) -> dict[str, Any]:
        """All that the stream knows of the past, with its rule, dtype and cells, by name, for `load_state_dict`."""
        self._chain.check()
        found: dict[str, Any] = {name: array.copy() for name, array in self._past().items()}
        found["pending"] = np.array(self._rule.pending)
        found["stepped"] = np.array(self._chain.stepped)
        return found | {name: np.array(value) for name, value in self._kind.items()}

    @alone
    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Take up what `state_dict` of a stream of the same layer, rule and number of rows returned.

        Raises
        ------
        ValueError
            Names, shapes, rule, dtype or cells of another stream. Nothing has changed then.
        """
        values = dict(values)
        for name, kind in self._kind.items():
            if (given := np.array(values.get(name, kind)).tolist()) != kind:
                raise ValueError(
                    f"this state is of another stream: {name} was {quoted(given)} there and is {quoted(kind)} here. "
                    "Load it into a stream of the same cells, dtype and rule: layer.stream(batch_size, online=...)"
                )
        own = self._past()
        wanted = {name: array.shape for name, array in own.items()}
        wanted |= {"pending": (), "stepped": ()} | {name: np.shape(value) for name, value in self._kind.items()}
        got = {name: np.shape(value) for name, value in values.items()}
        if got != wanted:
            raise ValueError(f"this state is of another stream: it has {got}, needed are {wanted}")
        self._put(own, values, bool(values["pending"]), bool(values["stepped"]))

    def _put(self, own: dict[str, Array], values: Mapping[str, Any], pending: bool, stepped: bool) -> None:
        self._chain.halfway = True
        for name, array in own.items():
            array[...] = values[name]
        self._rule.pending, self._chain.stepped = pending, stepped
        self._chain.halfway = False

    @alone
    def snapshot(self) -> Snapshot:
        """The states as they are now, and the influence of the parameters on them, for `restore`.

        Returns
        -------
        Snapshot
            Of this stream or any other of the same cells, sizes, dtype, rule and number of rows. Can be pickled.

        Raises
        ------
        RuntimeError
            The last step was interrupted; the stream is at work in another thread.
        """
        self._chain.check()
        own = self._past()
        flags = bytes([self._rule.pending, self._chain.stepped])
        return Snapshot(self._kind_of(own), b"".join([flags, *(array.tobytes() for array in own.values())]))

    @alone
    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a `snapshot`; the parameters stay.

        Parameters
        ----------
        snapshot : Snapshot

        Raises
        ------
        TypeError
            Something else.
        ValueError
            One of other cells, sizes, another dtype, rule or number of rows. Nothing has changed then.
        """
        if not isinstance(snapshot, Snapshot):
            raise TypeError(
                f"restore takes a Snapshot, which is what stream.snapshot() returns, got {type(snapshot).__name__}"
            )
        own = self._past()
        if snapshot.kind != self._kind_of(own):
            raise ValueError(f"this snapshot is one of {snapshot.kind[:4]}, the stream is {self._kind_of(own)[:4]}")
        values, at = {}, 2
        for name, array in own.items():
            values[name] = np.frombuffer(snapshot.states, array.dtype, array.size, at).reshape(array.shape)
            at += array.nbytes
        self._put(own, values, bool(snapshot.states[0]), bool(snapshot.states[1]))

    def _kind_of(self, own: dict[str, Array]) -> tuple[Any, ...]:
        shapes = tuple((name, array.shape) for name, array in own.items())
        return (self._online, self._kind["dtype"], tuple(self._kind["cells"]), self._batch_size, shapes)

    def fork(self) -> Self:
        """A stream of its own of the same layer, with the same past: what either does next leaves the other as it is.

        Returns
        -------
        OnlineStream
            It reads the parameters of the same layer; its `grads` are its own.

        Raises
        ------
        RuntimeError
            As `snapshot`.
        """
        new: Self = type(self)(self._layer, self._batch_size, self._online)  # type: ignore[call-arg]
        new.restore(self.snapshot())
        return new

    def __getstate__(self) -> dict[str, Any]:
        return {"layer": self._layer, "rows": self._batch_size, "online": self._online, "past": self.state_dict()}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__init__(saved["layer"], saved["rows"], saved["online"])  # type: ignore[misc]
        self.load_state_dict(saved["past"])
