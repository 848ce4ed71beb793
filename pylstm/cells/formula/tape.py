"""`choose`: the values that a stage keeps for backward.

The rule. Free: previous and new states, emissions, parameters, aux, and one value per gate, because the loop keeps
these blocks anyway. A costly value (a function such as exp or tanh, a sum over a row) that backward needs is kept;
cheap arithmetic on what is kept (+ - * /, comparisons, max, min, where) is computed again, and so are values of
parameters and narrow aux alone. A set of kept values is replaced by a cheap value, not wider than they, that covers
more than one of them.
The slot of a gate prefers the activation nearest to the gate, so that ``run.gates[...]`` shows the activated gate;
what does not fit into the slots of the gates goes to the blocks of `keep`. Where these are more than there is room
for, the values that cost the fewest operations are computed again in backward, from what is still on the tape; of a
gate that several of them need, the slot then holds the pre-activation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pylstm.cells.formula.graph import ACROSS, ACTIVATIONS, Node

KEPT = (*ACTIVATIONS, *(op for op in ACROSS if op != "tile"))
"""Operations whose value is kept where backward needs it."""

COSTLY = 10
"""What one of them counts where it is computed again; other operations count 1."""


@dataclass
class Tape:
    """Gate -> the value in its slot (the pre-activation itself: the slot is not written); `keep`: name -> value."""

    gates: dict[str, Node]
    keep: dict[str, Node]


def choose(
    needed: list[Node],
    free: set[Node],
    forward: list[Node],
    gates: dict[str, Node],
    pinned: dict[str, Node],
    most: int,
) -> Tape:
    """The tape from which `needed` can be computed.

    Parameters
    ----------
    needed : list of Node
        The cotangents that backward delivers.
    free : set of Node
        What lies on the tape anyway.
    forward : list of Node
        The values that forward computes, in graph order.
    gates : dict of str to Node
        Gate of this stage -> its pre-activation.
    pinned : dict of str to Node
        Slots that the formula filled itself.
    most : int
        How many values there is room for besides the slots.
    """
    tape = _smallest(needed, free, forward, gates, pinned)
    return tape if len(tape.keep) <= most else _thinned(tape, needed, free, gates, pinned, most)


def _smallest(
    needed: list[Node], free: set[Node], forward: list[Node], gates: dict[str, Node], pinned: dict[str, Node]
) -> Tape:
    """The tape that holds whatever is costly."""
    known, cut, slots = set(forward), set[Node](), _Slots.of(gates, forward, pinned)
    while True:
        tape = _place(needed, free, known, cut, slots)
        if not tape.keep:
            return tape
        best, least = None, len(tape.keep)
        widths = {node.width for node in tape.keep.values()}
        for node in _passed(needed, free | cut | set(tape.gates.values()) | set(tape.keep.values()), known):
            if node.width not in widths:
                continue
            count = len(_place(needed, free, known, cut | {node}, slots).keep)
            if count < least:
                best, least = node, count
        if best is None:
            return tape
        cut.add(best)


def _thinned(
    tape: Tape, needed: list[Node], free: set[Node], gates: dict[str, Node], pinned: dict[str, Node], most: int
) -> Tape:
    """The tape without the values that are cheapest to compute again, so that at most `most` are kept."""
    slots, kept = dict(tape.gates), set(tape.keep.values())
    done, again = _work(needed, kept, free | set(slots.values()))
    while len(kept) > most:
        blocking = {node: [each for each in again[node] if _is_lost(each)] for node in kept}
        costs = {n: _cost([n, *again[n]], done) for n in kept if not blocking[n] and not _is_lost(n)}
        if costs:
            gone = min(costs, key=lambda node: (costs[node], node.index))
            kept.remove(gone)
            done |= {gone, *again[gone]}  # at no cost for others from now on
            continue
        counts = {gate: sum(leaf is each or leaf in blocking[each] for each in kept) for gate, leaf in gates.items()}
        closed = [gate for gate, leaf in gates.items() if gate not in pinned and slots[gate] is not leaf]
        gate = max(closed, key=counts.__getitem__, default="")
        if not gate or not counts[gate]:
            break
        kept = (kept | {slots[gate]}) - {gates[gate]}
        slots[gate] = gates[gate]
        done, again = _work(needed, kept, free | set(slots.values()))
    ordered = sorted(kept, key=lambda node: node.index)
    return Tape(slots, {f"keep{k}": node for k, node in enumerate(ordered, 1)})


def _work(needed: list[Node], kept: set[Node], free: set[Node]) -> tuple[set[Node], dict[Node, dict[Node, None]]]:
    """What backward computes, and what it would compute for each kept value, were that not kept."""
    on_tape = free | kept
    return set(_computed(needed, on_tape)), {node: _computed(node.args, on_tape) for node in kept}


def _computed(roots: Iterable[Node], on_tape: set[Node]) -> dict[Node, None]:
    """All that is computed for `roots` where `on_tape` is there, and the pre-activations that are not."""
    seen: dict[Node, None] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen and node not in on_tape:
            seen[node] = None
            stack.extend(node.args)
    return seen


def _is_lost(node: Node) -> bool:
    """Whether a value that is not on the tape cannot be computed: a pre-activation."""
    return node.op == "leaf" and "z" in node.kinds


def _cost(nodes: Iterable[Node], done: set[Node]) -> int:
    """Cost of computing `nodes`, where backward has `done`."""
    return sum(
        COSTLY if node.op in KEPT else node.op not in ("leaf", "const", "size") for node in nodes if node not in done
    )


@dataclass
class _Slots:
    """Gate -> its pre-activation and the values that depend on it, found once for all tapes that are tried."""

    gates: dict[str, Node]
    pinned: dict[str, Node]
    shown: list[Node]
    linear: dict[str, dict[Node, int]]
    any_path: dict[str, dict[Node, int]]

    @classmethod
    def of(cls, gates: dict[str, Node], forward: list[Node], pinned: dict[str, Node]) -> _Slots:
        shown = [node for node in forward if node.op in ACTIVATIONS and not _is_shared(node)]
        linear, any_path = (
            {gate: _distances(leaf, forward, linear=linear) for gate, leaf in gates.items()} for linear in (True, False)
        )
        return cls(gates, pinned, shown, linear, any_path)


def _place(needed: list[Node], free: set[Node], known: set[Node], cut: set[Node], slots: _Slots) -> Tape:
    kept = _kept(needed, free | cut | set(slots.pinned.values()), known) | cut
    return _filled(sorted(kept, key=lambda node: node.index), slots)


def _kept(needed: list[Node], free: set[Node], forward: set[Node]) -> set[Node]:
    kept: set[Node] = set()
    seen: set[Node] = set()
    stack = list(needed)
    while stack:
        node = stack.pop()
        if node in seen or node in free:
            continue
        seen.add(node)
        if node.op == "leaf":
            if "z" in node.kinds:
                kept.add(node)
        elif _is_shared(node) or node not in forward or node.op not in KEPT:
            stack.extend(node.args)
        else:
            kept.add(node)
    return kept


def _passed(needed: list[Node], free: set[Node], forward: set[Node]) -> list[Node]:
    """Cheap forward values that backward computes again."""
    seen: dict[Node, None] = {}
    stack = list(needed)
    while stack:
        node = stack.pop()
        if node not in seen and node not in free:
            seen[node] = None
            stack.extend(node.args)
    return [node for node in seen if node in forward and node.op not in ("leaf", "const") and not _is_shared(node)]


def _is_shared(node: Node) -> bool:
    """Whether a value is of parameters alone, or one per row of aux: computed again, not kept at every step."""
    return node.kinds <= {"p"} or (node.width == 1 and node.kinds <= {"p", "u"})


def _filled(kept: list[Node], slots: _Slots) -> Tape:
    """Put `kept` into the slots of the gates, the rest into keep (still unnamed)."""
    filled = dict(slots.pinned)
    waiting = [node for node in kept if node not in filled.values()]
    for pool, ranks in ((waiting, 3), (slots.shown, 1)):
        for gate, node in _preferences(pool, slots, ranks):
            if gate not in filled and node not in filled.values():
                filled[gate] = node
    for gate, leaf in slots.gates.items():
        filled.setdefault(gate, leaf)
    keep = [node for node in waiting if node not in filled.values()]
    return Tape({gate: filled[gate] for gate in slots.gates}, {f"keep{k}": node for k, node in enumerate(keep, 1)})


def _preferences(pool: list[Node], slots: _Slots, ranks: int) -> list[tuple[str, Node]]:
    """Pairs (gate, value for its slot), best first.

    Rank 0: an activation applied to a linear expression of the gate; 1: the pre-activation itself; 2: any other
    value that depends on the gate. Within a rank the fewest operations from the gate, then gate order.
    """
    pairs = []
    for order, (gate, leaf) in enumerate(slots.gates.items()):
        linear, any_path = slots.linear[gate], slots.any_path[gate]
        for node in pool:
            if node in any_path and node.width == leaf.width:
                rank = 0 if node in linear and node.op in ACTIVATIONS else 1 if node is leaf else 2
                pairs.append((rank, any_path[node], order, node.index, gate, node))
    pairs.sort(key=lambda pair: pair[:4])
    return [(pair[-2], pair[-1]) for pair in pairs if pair[0] < ranks]


def _distances(leaf: Node, forward: list[Node], linear: bool) -> dict[Node, int]:
    """Number of operations from `leaf` to each value that depends on it; `linear`: up to the first activation."""
    distances = {leaf: 0}
    for node in forward:
        steps = [distances[each] for each in node.args if each in distances and not (linear and each.op in ACTIVATIONS)]
        if steps and not (linear and not _is_linear(node, distances)):
            distances[node] = 1 + min(steps)
    return distances


def _is_linear(node: Node, reached: dict[Node, int]) -> bool:
    if node.op in ("mul", "div"):
        return all(each in reached or "z" not in each.kinds for each in node.args)
    return node.op in ("add", "sub", "neg", "fill", *ACTIVATIONS)
