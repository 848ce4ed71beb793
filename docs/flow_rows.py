"""`arrange`: rows for the boxes of a data flow, their order and places, and where the lines between them go."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

ACROSS, DOWN, WIDE = 20, 32, 720
"""Room between two boxes of a row, between two rows, and what the boxes of a row may take together."""
SWEEPS, STRAIGHT = 12, 6


@dataclass
class Place:
    """A box, or the bend of a line that passes through a row: its middle, its size, and what it comes from."""

    row: int
    width: float
    height: float
    box: Any = None
    above: list[Place] = field(default_factory=list)
    below: list[Place] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0


def rows_of(boxes: Sequence[Any], sizes: dict[str, tuple[float, float]]) -> dict[str, int]:
    """Key -> row: below all of its sources; a row that is too wide leaves to the next what can wait longest."""
    known = {box.key: box for box in boxes}
    users: dict[str, list[str]] = {box.key: [] for box in boxes}
    for box in boxes:
        for key in box.sources:
            users[key].append(box.key)
    left: dict[str, int] = {}  # how many rows must follow
    for box in reversed(boxes):
        left[box.key] = max((left[key] + 1 for key in users[box.key]), default=0)
    rows = {box.key: 0 for box in boxes if not box.sources and not box.equation}
    row = 0
    while len(rows) < len(boxes):
        row += 1
        free = [key for key in known if key not in rows]
        able = [key for key in free if all(rows.get(each, row) < row for each in known[key].sources)]
        room = WIDE
        for key in sorted(able, key=lambda key: -left[key]):
            if room == WIDE or sizes[key][0] <= room:
                rows[key] = row
                room -= sizes[key][0] + ACROSS
    for key, box in known.items():
        if not box.equation and users[key]:
            rows[key] = min(rows[each] for each in users[key]) - 1
    return rows


def places_of(boxes: Sequence[Any], sizes: dict[str, tuple[float, float]]) -> list[list[Place]]:
    """The rows; a line that passes through rows has a bend in each, one for all that it goes to."""
    rows = rows_of(boxes, sizes)
    places = {box.key: Place(rows[box.key], *sizes[box.key], box) for box in boxes}
    found: list[list[Place]] = [[] for _ in range(max(rows.values()) + 1)]
    for place in places.values():
        found[place.row].append(place)
    bends: dict[tuple[str, int], Place] = {}
    for box in boxes:
        for key in box.sources:
            over = places[key]
            for row in range(over.row + 1, rows[box.key]):
                if (key, row) not in bends:
                    bends[key, row] = Place(row, 6, 0, above=[over])
                    over.below.append(bends[key, row])
                    found[row].append(bends[key, row])
                over = bends[key, row]
            over.below.append(places[box.key])
            places[box.key].above.append(over)
    return found


def crossings(rows: list[list[Place]]) -> int:
    """Pairs of lines that cross."""
    total = 0
    for upper, lower in itertools.pairwise(rows):
        at = {id(place): number for number, place in enumerate(lower)}
        ends = [sorted(at[id(each)] for each in place.below) for place in upper]
        for number, mine in enumerate(ends):
            for others in ends[number + 1 :]:
                total += sum(a > b for a in mine for b in others)
    return total


def order(rows: list[list[Place]]) -> list[list[Place]]:
    """The order within the rows that had the fewest crossings, each place near the mean of its neighbours'."""
    best, fewest = [list(row) for row in rows], crossings(rows)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else rows[::-1]:
            next_to = row[0].row + (-1 if down else 1)
            near = rows[next_to] if 0 <= next_to < len(rows) else []
            at = {id(place): number / len(near) for number, place in enumerate(near)}
            own = {id(place): number / len(row) for number, place in enumerate(row)}
            wish = {
                id(place): _mean([at[id(each)] for each in (place.above if down else place.below)], own[id(place)])
                for place in row
            }
            row.sort(key=lambda place: wish[id(place)])
        if crossings(rows) < fewest:
            best, fewest = [list(row) for row in rows], crossings(rows)
    return best


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def spread(row: list[Place], wished: list[float]) -> None:
    """The x nearest to what is wished, in the sum of squares, without overlap: pools of neighbours that touch."""
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + ACROSS)
    pools: list[list[float]] = []  # sum, count
    for wish, offset in zip(wished, offsets):
        pools.append([wish - offset, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            last = pools.pop()
            pools[-1] = [pools[-1][0] + last[0], pools[-1][1] + last[1]]
    starts = [total / count for total, count in pools for _ in range(int(count))]
    for place, start, offset in zip(row, starts, offsets):
        place.x = start + offset


def _wish(place: Place) -> float:
    """The mean x of the neighbours; that of two bends counts more, which makes long lines straight."""
    near = place.above + place.below
    weights = [STRAIGHT if place.box is None and each.box is None else 1 for each in near]
    return _mean([sum(weight * each.x for weight, each in zip(weights, near)) / sum(weights)] if near else [], place.x)


def arrange(boxes: Sequence[Any], sizes: dict[str, tuple[float, float]]) -> list[list[Place]]:
    """The rows with x and y of all places, the least x and y 0."""
    rows = order(places_of(boxes, sizes))
    for row in rows:
        spread(row, [0.0] * len(row))
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            spread(row, [_wish(place) for place in row])
    left = min(place.x - place.width / 2 for row in rows for place in row)
    y = 0.0
    for row in rows:
        height = max(place.height for place in row)
        for place in row:
            place.x, place.y = place.x - left, y + height / 2
        y += height + DOWN
    return rows
