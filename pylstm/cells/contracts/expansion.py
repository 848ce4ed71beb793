"""`expanded`: a declaration with complex values as pairs of real blocks, and with lags as states."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

_LAG = re.compile(r"lag\(\s*['\"]?(\w+)['\"]?\s*,\s*([1-9]\d*)\s*\)\Z")

T = TypeVar("T")


@dataclass(frozen=True)
class Expanded:
    """What a `Contract` is made of: names of real blocks alone; `lags`: state -> the deepest lag of it."""

    states: tuple[str, ...]
    gates: dict[str, tuple[str, ...]]
    params: tuple[str, ...]
    aux: tuple[str, ...]
    stages: tuple[Any, ...]
    biased: tuple[str, ...] | None
    constants: tuple[str, ...]
    widths: dict[str, Any]
    domain: dict[str, Any]
    lags: dict[str, int]


def parts_of(name: str, pairs: Iterable[str]) -> tuple[str, ...]:
    """The blocks of a value: its real and its imaginary part if it is one of `pairs`, the complex ones."""
    return (f"{name}_re", f"{name}_im") if name in pairs else (name,)


def lag_name(state: str, steps: int) -> str:
    """The state that holds, before a step, what `state` was so many steps before the new one."""
    return state if steps == 1 else f"{state}_lag{steps}"


def lagged(lags: Mapping[str, int]) -> dict[str, str]:
    """State of a shift register -> the state whose previous value it takes over."""
    return {lag_name(name, k): lag_name(name, k - 1) for name, most in lags.items() for k in range(2, most + 1)}


def with_lags(declared: Any, lags: Mapping[str, int]) -> Any:
    """A dataclass with states, widths, domain and lags, with the registers for `lags` in place of those that it has."""
    before, found = lagged(declared.lags), lagged(lags)
    states = [name for name in declared.states if name not in before]
    origin = {lag_name(name, k): name for name, most in lags.items() for k in range(2, most + 1)}
    widths, domain = (
        {name: value for name, value in each.items() if name not in before}
        | {name: each[state] for name, state in origin.items() if state in each}
        for each in (declared.widths, declared.domain)
    )
    return replace(declared, states=(*states, *found), widths=widths, domain=domain, lags=dict(lags))


def written_source(cell: Any, name: str) -> tuple[str, ...]:
    """The sources that a name of a declaration stands for: parts of complex values, states of lags."""
    match = _LAG.match(name)
    state, steps = (match[1], int(match[2])) if match else (name, 1)
    return tuple(lag_name(part, steps) for part in parts_of(state, cell.complex))


def expanded(cell: Any) -> Expanded:
    """The declaration of the `Cell` subclass `cell`."""
    pairs = tuple(cell.complex)
    lags: dict[str, int] = {}

    def named(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(part for name in names for part in parts_of(name, pairs))

    def each_part(values: Mapping[str, T]) -> dict[str, T]:
        return {part: value for name, value in values.items() for part in parts_of(name, pairs)}

    def sources(text: str) -> tuple[str, ...]:
        found: list[str] = []
        for source in map(str.strip, text.split("+")):
            match = _LAG.match(source)
            if match and match[1] in cell.states and int(match[2]) > 1:
                for part in parts_of(match[1], pairs):
                    lags[part] = max(int(match[2]), lags.get(part, 1))
            found += written_source(cell, source)
        return tuple(found)

    declared = Expanded(
        states=named(cell.states),
        gates=each_part({gate: sources(text) for gate, text in cell.gates.items()}),
        params=named(cell.params),
        aux=named(cell.aux),
        stages=tuple(replace(stage, gates=named(stage.gates), emits=named(stage.emits)) for stage in cell.stages),
        biased=None if cell.biased is None else named(cell.biased),
        constants=named(cell.constants),
        widths=each_part(cell.widths),
        domain=each_part(cell.domain),
        lags={},
    )
    made: Expanded = with_lags(declared, lags)
    return made
