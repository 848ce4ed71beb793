"""Certification: a cell's twin and kernel against differences of its own forward, path by path."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.cells._kernel_checks import VALUES, certify_kernel
from pylstm.cells._problem import DOMAINS, ROWS, Certified, Inputs, Problem, derivatives, draw, values
from pylstm.cells.certificate import SMALLEST_SCALE, Certificate, CertificationError
from pylstm.cells.contract import Contract, Stage, hook_name
from pylstm.cells.kernels import load_kernel, runs_on_machine
from pylstm.cells.options import split
from pylstm.cells.twin import call, hook

INPUT_SIZE, HIDDEN_SIZE = 4, 5
WIDE = 7


def certify(cell: Any, *, raise_: bool = True, dtype: str | None = None, **sizes: Any) -> Certificate:
    """Check every value and every local derivative of a cell on small random numbers.

    Parameters
    ----------
    cell : type[Cell]
        The cell.
    raise_ : bool
        Whether a wrong path raises; otherwise look at `Certificate.ok` and `Certificate.failures`.
    dtype : {"float32", "float64"}, optional
        Only this dtype of the kernel; default: all that it offers.
    **sizes : int
        ``input_size`` (4), ``hidden_size`` (5), and extra sizes and options of the cell that are not the default.

    Returns
    -------
    Certificate

    Raises
    ------
    CertificationError
        Something is wrong: the message names each path, for example ``d c / d gate f: twin 0, complex steps 0.138``.

    Notes
    -----
    The truth are complex steps of the twin's own forward (Squire & Trapp, SIAM Review 40(1), 1998), exact to the last
    digits; where the twin is not analytic, central differences extrapolated by Richardson. docs/certification.md says
    what is checked.

    Examples
    --------
    >>> from pylstm.cells.lstm import LSTM
    >>> certify(LSTM).ok
    True
    """
    cell, sizes = split(cell, sizes)
    certificate = Certificate(cell.name)
    contract = cell.contract
    needed = {name: 6 + k for k, (name, default) in enumerate(contract.sizes.items()) if default is None}
    widths = contract.resolve(**{"input_size": INPUT_SIZE, "hidden_size": HIDDEN_SIZE, **needed, **sizes})
    stages = [_certify_twin(certificate, cell, stage, widths) for stage in contract.stages]
    if all(stages):
        kept = {name for certified in stages for kind, name in certified.tape if kind == "keep"}
        for name in contract.keep:
            certificate.check("twin", f"kept {name}", name in kept, "no stage returns it")
    capsule = _kernel(certificate, cell)
    if capsule is not None:
        for certified in filter(None, stages):
            certify_kernel(certificate, capsule, certified, dtype)
        if certificate.ok:
            _certify_wide(certificate, cell, capsule, {**needed, **sizes}, dtype)
    if raise_ and not certificate.ok:
        raise CertificationError(certificate)
    return certificate


def _kernel(certificate: Certificate, cell: Any) -> Any | None:
    """The capsule of the cell's kernel, or None if there is none or it does not fit the declaration."""
    try:
        capsule = load_kernel(cell)
    except (ImportError, TypeError, ValueError) as error:
        certificate.fail("kernel", "blocks and ABI", str(error))
        return None
    if capsule is None:
        certificate.notes.append("no kernel: only the twin was certified")
    else:
        certificate.check("kernel", "blocks and ABI", True, "")
    if runs_on_machine(cell):
        certificate.notes.append("the kernel is the formula on the expression machine")
    return capsule


def _certify_wide(certificate: Certificate, cell: Any, capsule: Any, sizes: dict[str, int], dtype: str | None) -> None:
    """The kernel against the twin, by now certified, on rows that fill whole SIMD registers and leave a rest."""
    hidden_size = WIDE * sizes.get("hidden_size", HIDDEN_SIZE)
    wide = sizes | {"input_size": WIDE * sizes.get("input_size", INPUT_SIZE), "hidden_size": hidden_size}
    for stage in cell.contract.stages:
        forward, backward = hook(cell, "forward", stage.name), hook(cell, "backward", stage.name)
        if backward is None:
            continue
        with np.errstate(all="ignore"):
            problem, out = _problem(cell.contract, stage, cell.contract.resolve(**wide), forward)
            tape = _tape(problem, out)
            alone, _ = _cotangents(problem, backward, tape)
        truth = {
            output: {key: each.get(key[1], np.zeros((ROWS, width))) for key, width in problem.input_widths.items()}
            for output, each in alone.items()
        }
        certify_kernel(certificate, capsule, Certified(problem, tape, truth, "twin"), dtype, f", {hidden_size} units")


def _certify_twin(certificate: Certificate, cell: Any, stage: Stage, widths: dict[str, int]) -> Certified | None:
    """All checks of one stage of the twin; None where its forward is unusable."""
    name = hook_name("forward", stage.name)
    forward, backward = hook(cell, "forward", stage.name), hook(cell, "backward", stage.name)
    if forward is None:
        certificate.fail("twin", name, "a cell needs a NumPy twin: it is what the kernel is compared with")
        return None
    try:
        with np.errstate(all="ignore"):
            problem, out = _problem(cell.contract, stage, widths, forward)
            if not _forward_is_complete(certificate, problem, out, name):
                return None
            tape = _tape(problem, out)
            for fault, right in _rows_apart(problem, forward):
                certificate.check("twin", f"{name}, rows: {fault}", right, "the rows are not kept apart")
            truth, method = derivatives(problem, forward)
    except Exception as error:  # a twin is the user's code: whatever it raises is a finding
        certificate.fail("twin", name, f"raises {type(error).__name__}: {error}")
        return None
    if method != "complex steps":
        certificate.notes.append(f"{name} does not take complex steps: central differences were used")
    certified = Certified(problem, tape, truth, method)
    if backward is None:
        certificate.notes.append(f"no {hook_name('backward', stage.name)}: the twin has no derivatives to certify")
    else:
        _certify_backward(certificate, certified, backward)
    return certified


def _problem(contract: Contract, stage: Stage, widths: dict[str, int], forward: Any) -> tuple[Problem, dict[str, Any]]:
    """The first domain of random numbers on which forward is finite and float32 can follow it, and its values there.

    Beside a pole no float32 kernel can be held to the twin's values, and random numbers come near one if there are many
    of them. Where no domain keeps away from it, the first on which forward is finite is taken.
    """
    first = None
    for positive in DOMAINS:
        problem = draw(contract, stage, widths, positive, seed=20240 + contract.stages.index(stage))
        out = call(forward, **problem.spaces(problem.inputs))
        if all(np.isfinite(value).all() for value in out.values()):
            if _float32_follows(problem, out, forward):
                return problem, out
            first = first or (problem, out)
    return first or (problem, out)


def _float32_follows(problem: Problem, out: dict[str, Any], forward: Any) -> bool:
    """Whether forward on the same numbers in float32 has these values, to half of what a kernel is allowed."""
    inputs = {key: array.astype(np.float32) for key, array in problem.inputs.items()}
    single = call(forward, **problem.spaces(inputs))
    allowed = VALUES["float32"] / 2
    return all(
        np.abs(single[name] - value).max(initial=0.0) <= allowed * max(np.abs(value).max(initial=0.0), SMALLEST_SCALE)
        for name, value in out.items()
    )


def _tape(problem: Problem, out: dict[str, Any]) -> Inputs:
    """Copies of what the stage leaves on the tape, read-only: a backward that works in place is told so."""
    tape = {key: np.array(value) for key, value in values(problem, out)}
    for array in tape.values():
        array.flags.writeable = False
    return tape


def _forward_is_complete(certificate: Certificate, problem: Problem, out: dict[str, Any], name: str) -> bool:
    """Whether forward returned all that it must, nothing else, of the right shapes, and finite."""
    allowed = {*problem.stage.gates, *problem.contract.keep, *problem.d}
    faults = [(key, "must be returned") for key in problem.d if key not in out]
    faults += [(key, "is not a gate, kept value or output of this stage") for key in out if key not in allowed]
    for key in allowed & out.keys():
        expected = (problem.inputs["previous", problem.contract.states[0]].shape[0], problem.widths[key])
        if np.shape(out[key]) != expected:
            faults.append((key, f"shape {np.shape(out[key])}, expected {expected}"))
        elif not np.isfinite(out[key]).all():
            faults.append((key, "is not finite on random numbers between 0.3 and 0.9"))
    for key, fault in faults:
        certificate.fail("twin", f"{name}, {key}", fault)
    if not faults:
        certificate.check("twin", f"{name}, names and shapes", True, "")
    return not faults


def _rows_apart(problem: Problem, forward: Any) -> list[tuple[str, bool]]:
    """(fault, whether it is absent): NaN in row 0 and a call without row 0 leave the other rows what they are."""

    def run(change: Any) -> dict[Any, np.ndarray]:
        inputs = {key: array if key[0] == "param" else change(array) for key, array in problem.inputs.items()}
        return call(forward, **problem.spaces(inputs))

    def nan_in_row_0(array: np.ndarray) -> np.ndarray:
        return np.concatenate([np.full_like(array[:1], np.nan), array[1:]])

    full, disturbed, alone = run(lambda array: array), run(nan_in_row_0), run(lambda array: array[1:])
    return [
        ("NaN in row 0 changes other rows", all(_same(full[key][1:], disturbed[key][1:]) for key in full)),
        ("a row depends on the number of rows", all(_same(full[key][1:], alone[key]) for key in full)),
    ]


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal up to the last bits: NumPy may take another path through a shorter array."""
    return one.shape == other.shape and bool((np.abs(one - other) <= 1e-12 * (1 + np.abs(one))).all())


def _certify_backward(certificate: Certificate, certified: Certified, backward: Any) -> None:
    """Every local derivative of one stage of the twin, for each output alone and for all together."""
    problem, truth = certified.problem, certified.truth
    name = hook_name("backward", problem.stage.name)
    try:
        with np.errstate(all="ignore"):
            alone, together = _cotangents(problem, backward, certified.tape)
    except Exception as error:  # as in forward
        certificate.fail("twin", name, f"raises {type(error).__name__}: {error}")
        return

    known = {key[1] for key in problem.inputs}
    for extra in sorted(together.keys() - known):
        certificate.fail("twin", f"{name}, {extra}", "is not an input of this stage")
    for gate in problem.stage.gates:
        if gate not in together:
            certificate.fail("twin", f"{name}, {gate}", "the cotangent of every gate of the stage must be returned")
    right = dict.fromkeys(problem.inputs, True)
    for output, cotangents in alone.items():
        got = {key: cotangents.get(key[1], np.zeros((ROWS, width))) for key, width in problem.input_widths.items()}
        found = certificate.compare_paths("twin", output, got, truth[output], certified.tolerance, certified.method)
        right = {key: right[key] and found[key] for key in right}
    for key in problem.inputs:
        if right[key] and key[1] in together:
            total = sum(each[key] for each in truth.values())
            path = f"d all outputs / d {' '.join(key)}"
            certificate.compare("twin", path, together[key[1]], total, certified.tolerance, certified.method)


def _cotangents(problem: Problem, backward: Any, tape: Inputs) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What the twin's backward returns for each output alone, and for all together."""
    spaces = problem.spaces(problem.inputs) | {"y": {name: value for (_, name), value in tape.items()}}
    zero = {output: np.zeros_like(d) for output, d in problem.d.items()}
    alone = {output: call(backward, **spaces, d=zero | {output: d}) for output, d in problem.d.items()}
    return alone, call(backward, **spaces, d=problem.d)
