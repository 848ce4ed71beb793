"""`audit`: whether a claimed derivative or recursion is that of the cell, and if not, which paths are missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pylstm.cells.auditing.net import World
from pylstm.cells.auditing.recursion import SPANS, Edge, Recursion
from pylstm.cells.auditing.reference import Arrays, Tape
from pylstm.cells.cell import Cell, check_cell
from pylstm.cells.certification.certify import certify
from pylstm.cells.certification.once import ensure_certified
from pylstm.cells.contracts.stages import hook_name
from pylstm.cells.twin import call, hook
from pylstm.checks import quoted
from pylstm.hints import explained, explained_constructor

LENGTHS = tuple(range(1, 11))
TOLERANCE = 1e-9
"""Largest relative difference (2-norm) of float64 results that count as equal."""

TWIN_ARGUMENTS = ("d", "y", "prev", "e", "p", "u")


@dataclass(frozen=True)
class Finding:
    """What was found out about one claimed array.

    Attributes
    ----------
    name : str
        A state, gate or parameter, or ``"x"``.
    wrong_from : int or None
        The smallest length at which the claim is wrong; None: it is exact.
    error : float
        Relative error (2-norm, over all steps, rows and units) at the largest length.
    length : int
        The largest length.
    paths : tuple of str
        The single paths whose removal from the true recursion gives the claim. Several: they follow each other.
    follows : tuple of str
        Other claimed states; with their claimed values put in, the true recursion gives this claim: it is wrong only
        because they are.
    """

    name: str
    wrong_from: int | None
    error: float
    length: int
    paths: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the claim is right at all lengths."""
        return self.wrong_from is None

    def __str__(self) -> str:
        if self.exact:
            return "exact"
        if self.paths:
            why = f"missing path {' or '.join(self.paths)}"
        elif self.follows:
            why = f"follows from the claimed {', '.join(self.follows)}"
        else:
            why = "no single missing path explains it"
        size = f"{self.error:.0%}" if self.error >= 0.01 else f"{self.error:.2g}"
        return f"wrong from T = {self.wrong_from} on, {why}, error {size.replace('%', ' %')} at T = {self.length}"


@explained_constructor
@dataclass(frozen=True)
class Audit:
    """The outcome of `audit`; ``str()`` of it is the verdict.

    Attributes
    ----------
    cell : str
        Name of the cell.
    findings : dict of str to Finding
        By claimed name.
    faults : tuple of str
        Of claimed local derivatives: every wrong one, and how it is wrong.

    Examples
    --------
    >>> import pylstm
    >>> def last_step_only(run):
    ...     return {"h": run.dy}
    >>> report = pylstm.audit(pylstm.cells.LSTM, last_step_only)
    >>> report.exact, report.wrong_from, list(report.findings)
    (False, 2, ['h'])
    """

    cell: str
    findings: dict[str, Finding]
    faults: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether all that is claimed is right."""
        return not self.faults and all(finding.exact for finding in self.findings.values())

    @property
    def wrong_from(self) -> int | None:
        """The smallest length at which anything is wrong."""
        return min((f.wrong_from for f in self.findings.values() if f.wrong_from is not None), default=None)

    @property
    def paths(self) -> tuple[str, ...]:
        """All missing paths that were found, once each."""
        return tuple(dict.fromkeys(path for finding in self.findings.values() for path in finding.paths))

    def __str__(self) -> str:
        if self.exact:
            return "exact"
        lines = [str(f) if len(self.findings) == 1 else f"{f.name}: {f}" for f in self.findings.values()]
        return "\n".join([*lines, *self.faults])


Claim = Callable[..., dict[str, Any]]


@explained()
def audit(
    cell: type[Cell],
    claimed: Claim,
    *,
    lengths: Iterable[int] = LENGTHS,
    loss: dict[str, str] | None = None,
    stage: str | None = None,
    seed: int = 0,
    **sizes: int,
) -> Audit:
    """Compare a claim about the backward pass of a cell with the truth, for runs of several lengths.

    Parameters
    ----------
    cell : type[Cell]
        A cell with forward and backward; it is certified first.
    claimed : callable
        *Local derivatives*: a function whose arguments are among ``d, y, prev, e, p, u``, written as the backward of
        a cell (see `Cell`); it may return only some of the names. *A recursion*: a function of one argument, a
        `pylstm.cells.auditing.net.Steps`, under any other name, which returns a dict with any of: states -> claimed
        cotangents dL/ds_t (T, B, width); gates -> cotangents of their pre-activations (T, B, width); parameters,
        ``"x"`` -> gradients of their shape. L is a sum over rows and steps. Where a state is computed from another one
        of the same step, dL/dc_t may or may not hold the part that comes from h_t: the last step decides which is
        meant.
    lengths : iterable of int
        Lengths of the runs.
    loss : dict of str to {"every", "last"}
        The states that the loss reads, at every step or at the last one. Default: the output, at every step.
    stage : str, optional
        Of claimed local derivatives, where the cell has several stages.
    seed : int
        Of the random net.
    **sizes : int
        ``input_size`` (3), ``hidden_size`` (4), extra sizes of the cell.

    Returns
    -------
    Audit
        ``str()`` of it says, for example, "wrong from T = 3 on, missing path c(t+1) <- c(t+2), error 18 % at T = 10".

    Raises
    ------
    CertificationError
        The cell itself is wrong.
    TypeError, ValueError
        The claim returns no dict, a name that the cell does not have, or an array of another shape.

    Notes
    -----
    The truth is the recursion of `pylstm.cells.auditing.reference`, path by path: direct paths between states, products
    with the matrix of each gate, paths from the new states to each gate, and paths between states of one step. The
    claim is compared with the true recursion without each of these in turn.

    Examples
    --------
    Pushing back through the gates of the next step, but not through its cell state:

    >>> from pylstm.cells import LSTM
    >>> def without_c(run):
    ...     dh = run.dy.copy()
    ...     for t in reversed(range(run.T - 1)):
    ...         o, tanh_c = run.gates["o"][t + 1], run.keep["tanh_c"][t + 1]
    ...         dh[t] += dh[t + 1] * tanh_c * o * (1 - o) @ run.weight("o", "h")
    ...     return {"h": dh}
    >>> print(audit(LSTM, without_c).findings["h"].wrong_from)
    2
    """
    ensure_certified(check_cell(cell))
    if not callable(claimed):
        raise TypeError(
            f"claimed must be a function, of a cell's backward arguments or of a run of steps, got {quoted(claimed)}"
        )
    lengths = sorted({int(length) for length in lengths})
    if not lengths or lengths[0] < 1:
        raise ValueError(f"lengths must be numbers of steps of at least 1, got {lengths}")
    world = World(cell, lengths[-1], loss, seed, sizes)
    arguments = set(inspect.signature(claimed).parameters)
    if arguments and arguments <= set(TWIN_ARGUMENTS):
        return _audit_local(world, claimed, lengths, stage)
    return _audit_recursion(world, claimed, lengths)


def _audit_recursion(world: World, claimed: Claim, lengths: list[int]) -> Audit:
    claims = {T: _check_claim(claimed(world.steps(T)), world.recursion(T), T) for T in lengths}
    meant = {name: _meant(world, name, claims, lengths[-1]) for name in claims[lengths[-1]]}
    findings = {}
    for name in meant:
        errors = {T: _error(claims[T][name], world.recursion(T).array(name, meant[name])) for T in lengths}
        wrong = next((T for T in lengths if not errors[T] <= TOLERANCE), None)
        findings[name] = Finding(name, wrong, errors[lengths[-1]], lengths[-1])
    return Audit(world.cell.name, _explain(world, findings, claims, meant))


def _check_claim(claim: Any, truth: Recursion, T: int) -> Arrays:
    if not isinstance(claim, dict) or not claim:
        raise TypeError(f"the claim must return a dict of arrays, got {claim!r}")
    for name, value in claim.items():
        if name not in truth.named:
            raise ValueError(f"the claim returned {name!r}, which does not exist (known: {', '.join(truth.named)})")
        if np.shape(value) != truth.named[name].shape:
            raise ValueError(
                f"claimed {name!r} must have shape {truth.named[name].shape} at T = {T}, got {np.shape(value)}"
            )
    return {name: np.array(value, np.float64) for name, value in claim.items()}


def _meant(world: World, name: str, claims: dict[int, Arrays], longest: int) -> bool:
    """Whether a claim about a state is about its full cotangent: the last step is nearer to that."""
    if name not in world.contract.states:
        return True
    last, truth = claims[longest][name][-1], world.recursion(longest)
    return _error(last, truth.full[name][-1]) <= _error(last, truth.handed[name][-1])


def _error(claim: np.ndarray, truth: np.ndarray) -> float:
    """Relative difference in the 2-norm; infinite for what is not finite."""
    if not np.isfinite(claim).all():
        return float("inf")
    return float(np.linalg.norm(claim - truth) / (np.linalg.norm(truth) or 1.0))


def _explain(world: World, findings: dict[str, Finding], claims: Any, meant: Any) -> dict[str, Finding]:
    """Which cut explains all wrong claims at once; else each by itself; else whether it follows from other claims."""
    wrong = [name for name, finding in findings.items() if not finding.exact]
    if not wrong:
        return findings
    T = findings[wrong[0]].length
    cuts = [(cut, world.recursion(T, cut=cut)) for cut in _candidates(world)]
    fits = {
        n: [c for c, recursion in cuts if _error(claims[T][n], recursion.array(n, meant[n])) <= TOLERANCE]
        for n in wrong
    }
    common = [cut for cut in fits[wrong[0]] if all(cut in fits[name] for name in wrong)]
    explained = dict(findings)
    for name in wrong:
        follows = _others(world, name, claims[T], findings, meant)
        if common or fits[name]:
            paths = [_describe(world, cut, name, findings[name], claims, meant) for cut in common or fits[name]]
            explained[name] = replace(findings[name], paths=tuple(dict.fromkeys(paths)))
        elif follows:
            explained[name] = replace(findings[name], follows=follows)
    return explained


def _others(world: World, name: str, claims: Arrays, findings: Any, meant: Any) -> tuple[str, ...]:
    """The wrong states among the other claims, if the true recursion with them put in gives the claim `name`."""
    others = [n for n, f in findings.items() if n in world.contract.states and n != name and not f.exact]
    if not others:
        return ()
    T = findings[name].length
    recursion = world.recursion(T, given={other: (claims[other], meant[other]) for other in others})
    return tuple(others) if _error(claims[name], recursion.array(name, meant[name])) <= TOLERANCE else ()


def _candidates(world: World) -> list[frozenset[Edge]]:
    """Every single path, and all products of a source together."""
    contract = world.contract
    last = contract.stages[-1]
    edges: list[Edge] = [("direct", to, of) for to in contract.states for of in contract.states]
    edges += [("within", *pair) for pair in world.formula.pairs]
    for stage in contract.stages:
        outputs = contract.states if stage is last else stage.emits
        edges += [("output", gate, output) for gate in stage.gates for output in outputs]
        edges += [("direct", state, output) for state in contract.states for output in stage.emits]
        edges += [("emission", name, output) for name in contract.emissions for output in outputs if name != output]
    products = {s: [("product", s, gate) for gate in contract.gates_of(s)] for s in contract.sources if s != "x"}
    edges += [edge for each in products.values() for edge in each]
    cuts = [frozenset([edge]) for edge in dict.fromkeys(edges)]
    return cuts + [frozenset(each) for each in products.values() if len(each) > 1]


def _describe(world: World, cut: frozenset[Edge], name: str, finding: Finding, claims: Any, meant: Any) -> str:
    """The path, at the step where the cotangent of `name` at step t first misses it."""
    if np.ndim(claims[finding.length][name]) != 3:
        return _text(world, cut)
    return _text(world, cut, _ahead(world, cut, name, finding, claims, meant))


def _spans(world: World, cut: frozenset[Edge]) -> bool:
    """Whether the path goes from a step to the one before."""
    kind, to, _ = next(iter(cut))
    return kind in SPANS and to in world.contract.states


def _text(world: World, cut: frozenset[Edge], ahead: int = 0) -> str:
    """``c(t+1) <- c(t+2)``: a path that ends `ahead` steps after t."""
    _, to, _ = next(iter(cut))
    order = (*world.contract.gates, *world.contract.states, *world.contract.emissions)
    at, then = (f"(t+{n})" if n else "(t)" for n in (ahead, ahead + _spans(world, cut)))
    return f"{to}{at} <- {', '.join(of + then for of in sorted((of for _, _, of in cut), key=order.index))}"


def _ahead(world: World, cut: frozenset[Edge], name: str, finding: Finding, claims: Any, meant: Any) -> int:
    """Steps between the latest wrong step of the shortest wrong run and the path."""
    T = finding.wrong_from
    assert T is not None  # what is right has no path to describe
    truth, claim = world.recursion(T).array(name, meant[name]), claims[T][name]
    t = max(step for step in range(T) if not _error(claim[step], truth[step]) <= TOLERANCE)
    for step in range(t, T):
        alone = world.recursion(T, cut=cut, only=step).array(name, meant[name])
        if _error(alone[t], truth[t]) > TOLERANCE:
            return max(0, step - t - _spans(world, cut))
    return 0


def _audit_local(world: World, claimed: Claim, lengths: list[int], stage: str | None) -> Audit:
    """Claimed local derivatives: certified in place of the cell's own, and their effect on the gradients."""
    cell, names = world.cell, [each.name for each in world.contract.stages]
    stage = names[-1] if stage is None and len(names) == 1 else stage
    if stage not in names:
        raise ValueError(f"cell {cell.name!r} has the stages {', '.join(names)}: pass stage=<name>")
    own = hook(cell, "backward", stage)

    def backward(d: Any, y: Any, prev: Any, e: Any, p: Any, u: Any, size: Any) -> dict[str, Any]:
        given = {"d": d, "y": y, "prev": prev, "e": e, "p": p, "u": u, "size": size}
        spaces = {name: vars(space) for name, space in given.items()}
        return call(own, **spaces) | call(claimed, **spaces)

    hooks = {hook_name(way, s): staticmethod(hook(cell, way, s)) for s in names for way in ("forward", "backward")}
    hooks[hook_name("backward", stage)] = staticmethod(backward)
    metaclass: Any = type(cell)
    variant = metaclass(
        cell.__name__, (cell,), {**hooks, "name": cell.name, "keep": cell.contract.keep, "kernel": None}
    )
    faults = tuple(str(each).replace(": twin ", ": claimed ") for each in certify(variant, raise_=False).failures)
    flat = {T: [_flat(Recursion(*each, world.formula)) for each in _pair(world, variant, T)] for T in lengths}
    errors = {T: _error(*pair) for T, pair in flat.items()}
    wrong, T = next((T for T in lengths if not errors[T] <= TOLERANCE), None), lengths[-1]
    paths = []
    if wrong is not None:
        cuts = [cut for cut in _candidates(world) if next(iter(cut))[0] != "product"]
        fits = [cut for cut in cuts if _error(flat[T][0], _flat(world.recursion(T, cut=cut))) <= TOLERANCE]
        paths = [_text(world, cut) for cut in fits]
    finding = Finding("gradients", wrong, errors[T], T, tuple(paths))
    return Audit(cell.name, {"gradients": finding}, faults)


def _pair(world: World, variant: type[Cell], T: int) -> tuple[tuple[Tape, Arrays], tuple[Tape, Arrays]]:
    """The run of T steps as the variant's and as the cell's own: they differ in backward only."""
    tape, dstates = world.run(T)
    return (replace(tape, cell=variant), dstates), (tape, dstates)


def _flat(recursion: Recursion) -> np.ndarray:
    return np.concatenate([each.ravel() for each in (*recursion.params.values(), recursion.x)])
