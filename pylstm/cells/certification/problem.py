"""One stage of a cell at the places where layers call it: random numbers in rows, each row another place.

A row of a problem is a batch row. Rows do not see each other, so one call looks at all places at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.stages import Stage
from pylstm.cells.widths import Widths

Key = tuple[str, str]
Inputs = dict[Key, np.ndarray]
Place = dict[str, str]
"""Kind of input -> range of its magnitude in a row, where it is not ``moderate``; a key of `MAGNITUDES`, or `MIXED`."""

SPACES = {"gate": "z", "previous": "prev", "emission": "e", "param": "p", "aux": "u"}
DOMAINS = (
    (),
    ("param", "aux"),
    ("param", "aux", "previous", "emission"),
    ("param", "aux", "previous", "emission", "gate"),
)
"""Kinds that are drawn positive: the first of these sets on which forward is finite is used."""

MAGNITUDES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "zero": lambda u: 0 * u,
    "tiny": lambda u: 10 ** (6 * u - 8),
    "moderate": lambda u: 0.3 + 0.6 * u,
    "near one": lambda u: 1 + np.where(u < 0.5, -1, 1) * 10 ** (-4 + 5.4 * abs(u - 0.5)),
    "above one": lambda u: 1.2 * 50**u,
    "beyond one": lambda u: 1.2 + 4.8 * u,
    "large": lambda u: 1.2 * 8.3**u,
    "far": lambda u: 10 + 20 * u,
    "saturated": lambda u: 40 + 60 * u,
}
"""Name of a range -> magnitudes in it, from numbers between 0 and 1."""
MIXED = "of all sizes"
STATES = ("zero", "tiny", "near one", "above one")
RANGES = {
    "previous": STATES,
    "emission": STATES,
    "aux": STATES,
    "gate": ("zero", "tiny", "large", "far", "saturated"),
    "param": ("zero", "tiny", "near one", "beyond one"),
}
"""Ranges in which each kind is looked at, besides ``moderate``."""
CORE = 5
"""Rows that come first, with nothing but moderate and large numbers: forward must be finite there."""


@dataclass(frozen=True)
class Problem:
    """One stage and random numbers for all that goes into it.

    Attributes
    ----------
    inputs : dict of (kind, name) to array
        (rows, width), of kind ``param`` (width,). Kinds are the keys of `SPACES`. All numbers are exact in float32,
        so that every dtype sees the same problem.
    d : dict of str to array (rows, width)
        Cotangent of each output: the emissions of the stage, or in the last stage the new states.
    places : tuple of str
        What is special about each row; '' if nothing.
    remark : str
        What is special about the whole problem; it ends the names of paths.
    """

    contract: Contract
    stage: Stage
    widths: Widths
    inputs: Inputs
    d: dict[str, np.ndarray]
    places: tuple[str, ...]
    remark: str = ""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.places)

    @property
    def calm(self) -> np.ndarray:
        """Rows where nothing is far out: what is multiplied there does not overflow."""
        wild = ("far", "saturated", "above one", MIXED)
        return np.array([k for k, place in enumerate(self.places) if not any(each in place for each in wild)], int)

    @property
    def different(self) -> np.ndarray:
        """The first row of each place."""
        return np.array([self.places.index(place) for place in dict.fromkeys(self.places)], int)

    @property
    def last(self) -> bool:
        """Whether the stage makes the new states."""
        return self.stage is self.contract.stages[-1]

    @property
    def number(self) -> int:
        """Index of the stage."""
        return self.contract.stages.index(self.stage)

    @property
    def input_widths(self) -> dict[Key, int]:
        """Width of every input."""
        return {key: array.shape[-1] for key, array in self.inputs.items()}

    def spaces(self, inputs: Inputs) -> dict[str, dict[str, Any]]:
        """The namespaces of a twin's function, from the inputs."""
        spaces: dict[str, dict[str, Any]] = {space: {} for space in SPACES.values()}
        for (kind, name), array in inputs.items():
            spaces[SPACES[kind]][name] = array
        return {**spaces, "size": self.widths.sizes}

    def take(self, rows: Any) -> Problem:
        """The problem of some of the rows, in the order given."""
        rows = np.atleast_1d(np.arange(self.rows)[rows])
        inputs = {key: array if key[0] == "param" else taken(array, rows) for key, array in self.inputs.items()}
        d = {name: taken(array, rows) for name, array in self.d.items()}
        return replace(self, inputs=inputs, d=d, places=tuple(self.places[row] for row in rows))


def taken(array: np.ndarray, rows: Any) -> np.ndarray:
    """Some rows of an array, read-only: a twin that works in place is told so."""
    array = array[rows]
    array.flags.writeable = False
    return array


def all_places(contract: Contract, stage: Stage) -> list[Place]:
    """The rows of a problem: `CORE`, each kind in each of its ranges, ranges of several kinds together, mixed rows."""
    present = {kind for kind, names in contract.seen_by(stage).items() if names} - {"param"}
    places: list[Place] = [{}] * (CORE - 1) + [{"gate": "large"}]
    for kind in RANGES:
        if kind in present:
            places += [{kind: size} for size in RANGES[kind] for _ in range(2)]
    if "gate" in present:
        places += [
            {"previous": state, "gate": gate}
            for state, gate in product(("zero", "tiny", "above one"), ("large", "far", "saturated"))
        ]
    places.append(dict.fromkeys(present, "zero"))
    return [*places, *({kind: MIXED for kind in present},) * 8]


def few_places(contract: Contract, stage: Stage, size: int = 10) -> list[Place]:
    """Places of at most `size` rows, none with an exact 0: those of a problem that differs in parameters or widths."""
    known = [place for place in all_places(contract, stage) if "zero" not in place.values()]
    return known[:3] + known[CORE - 1 : CORE] + known[-(size - 4) :]


def draw(
    contract: Contract,
    stage: Stage,
    widths: Widths,
    places: list[Place],
    positive: tuple[str, ...] = (),
    params: str = "moderate",
    remark: str = "",
    seed: int = 0,
    held: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Problem:
    """Random numbers at `places`. Kinds in `positive` are positive; domains are kept to; those in `held` are so.

    A problem with a remark has no exact 0 among its mixed numbers: forward may have a kink there.
    """
    random = np.random.default_rng(seed)

    def signs(shape: tuple[int, ...]) -> np.ndarray:
        return 1.0 - 2.0 * random.integers(0, 2, shape)

    def numbers(kind: str, name: str, sizes: list[str]) -> np.ndarray:
        known = (*RANGES[kind], "moderate")
        u = random.uniform(0, 1, (len(sizes), widths[name]))
        which = np.array([known.index(size) if size in known else -1 for size in sizes])[:, None]
        which = np.where(which < 0, random.integers(1 if remark else 0, len(known), u.shape), which)
        magnitude = np.empty_like(u)
        for k in set(which.ravel().tolist()):
            at = np.broadcast_to(which == k, u.shape)
            magnitude[at] = MAGNITUDES[known[k]](u[at])
        return inside(contract.domain.get(name), magnitude * (1.0 if kind in positive else signs(u.shape)), u)

    inputs: Inputs = {}
    for kind, names in contract.seen_by(stage).items():
        sizes = [place.get(kind, "moderate") for place in places]
        for name in names:
            drawn = numbers(kind, name, [params])[0] if kind == "param" else numbers(kind, name, sizes)
            inputs[kind, name] = held[name].copy() if kind == "param" and name in held else drawn
            inputs[kind, name].flags.writeable = False  # a twin that works in place is told so
    d = {}
    for name in contract.states if stage is contract.stages[-1] else stage.emits:
        shape = (len(places), widths[name])
        d[name] = random.uniform(0.3, 0.9, shape).astype(np.float32) * signs(shape)
        d[name].flags.writeable = False
    return Problem(contract, stage, widths, inputs, d, tuple(map(label, places)), remark)


def inside(domain: tuple[float | None, float | None] | None, values: np.ndarray, u: np.ndarray) -> np.ndarray:
    """`values` moved into a domain, exact in float32: as distances from its one end, or by `u` between its two."""
    low, high = domain or (None, None)
    if low is not None and high is not None:
        values = np.where(values == 0, low, low + (high - low) * u)
    elif low is not None:
        values = low + np.abs(values)
    elif high is not None:
        values = high - np.abs(values)
    values = values.astype(np.float32)
    if low is not None:
        values = np.where(values < low, np.nextafter(values, np.float32(np.inf)), values)
    if high is not None:
        values = np.where(values > high, np.nextafter(values, np.float32(-np.inf)), values)
    return values.astype(np.float64)


def label(place: Place) -> str:
    """A place in words: ``previous zero, gate far``."""
    return ", ".join(f"{kind} {size}" for kind, size in place.items())


def values(problem: Problem, out: dict[str, Any]) -> Iterator[tuple[Key, Any]]:
    """((kind, name), array) of all that the stage leaves on the tape, from what its forward returned."""
    for name in problem.stage.gates:
        yield ("gate", name), out.get(name, problem.inputs["gate", name])
    for name in problem.contract.keep:
        if name in out:
            yield ("keep", name), out[name]
    for name in problem.d:
        yield ("state" if problem.last else "emission", name), out[name]


def tape_of(problem: Problem, out: dict[str, Any]) -> Inputs:
    """Copies of what the stage leaves on the tape, read-only: a backward that works in place is told so."""
    tape = {key: np.array(value) for key, value in values(problem, out)}
    for array in tape.values():
        array.flags.writeable = False
    return tape
