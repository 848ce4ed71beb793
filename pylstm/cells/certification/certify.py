"""Certification: a cell's twin and kernel against differences of its own forward, path by path."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.cells.cell import Cell, check_cell
from pylstm.cells.certification.certificate import UNLOADED, Certificate, CertificationError
from pylstm.cells.certification.kernel_checks import certify_kernel
from pylstm.cells.certification.twin_checks import TwinChecks
from pylstm.cells.contracts.options import name_of, split
from pylstm.cells.contracts.sizes import fitting, usual_sizes
from pylstm.cells.kernels import load_kernel, runs_on_machine
from pylstm.cells.twin import hook, twin_kernel
from pylstm.cells.widths import Widths
from pylstm.hints import explained

WIDTHS = (1, 16, 35)
"""Other hidden sizes: one unit, whole SIMD registers, registers and a rest."""


@explained()
def certify(cell: type[Cell], *, raise_: bool = True, dtype: str | None = None, **sizes: Any) -> Certificate:
    """Check every value and every local derivative of a cell at the places where layers call it.

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
    TypeError
        `cell` is not a subclass of `pylstm.Cell`.
    CertificationError
        Something is wrong: the message names each path, for example ``d c / d gate f: twin 0, complex steps 0.138``.

    Notes
    -----
    The truth is computed by complex steps of the twin's own forward (Squire & Trapp, SIAM Review 40(1), 1998), exact to
    the last digits; where the twin is not analytic, by central differences extrapolated by Richardson.
    docs/certification.md says what is checked.

    Examples
    --------
    >>> from pylstm.cells import LSTM
    >>> certify(LSTM).ok
    True
    """
    cell, sizes = split(check_cell(cell), sizes)
    certificate = Certificate(name_of(cell))
    contract = cell.contract
    sizes = usual_sizes(cell, **sizes)
    widths = contract.resolve(**sizes)
    if runs_on_machine(cell):
        _kernel(certificate, cell, widths.sizes)  # a formula that is too large is not certified for a minute first
        if not certificate.ok and raise_:
            raise CertificationError(certificate)
        if not certificate.ok:
            return certificate
        certificate = Certificate(certificate.cell)
    checks = [TwinChecks(certificate, cell, stage) for stage in contract.stages]
    with np.errstate(all="ignore"):
        found = [each.run(widths) for each in checks]
        if all(found):
            kept = {name for stage in found for kind, name in stage[0].tape if kind == "keep"}
            for name in contract.keep:
                certificate.check("twin", f"kept {name}", name in kept, "no stage returns it")
        capsule, form = _kernel(certificate, cell, widths.sizes)
        if capsule is not None and (form == "kernel" or certificate.ok):
            for twin, stage in zip(checks, found):
                for certified in stage:
                    if certified is stage[0] or certificate.ok:  # else the same again, for other parameters
                        certify_kernel(certificate, capsule, certified, dtype, form, twin.carefully)
        if certificate.ok:
            _certify_widths(certificate, checks, (capsule, form), cell, sizes, dtype)
    if raise_ and not certificate.ok:
        raise CertificationError(certificate)
    return certificate


def _kernel(certificate: Certificate, cell: Any, sizes: dict[str, int]) -> tuple[Any, str]:
    """What the layer runs, and its name: the cell's kernel, or the twin; None if neither can run."""
    try:
        capsule = load_kernel(cell, sizes)
    except (ImportError, TypeError, ValueError) as error:
        certificate.fail("kernel", UNLOADED, str(error))
        return None, ""
    if runs_on_machine(cell):
        certificate.notes.append("the kernel is the formula on the expression machine")
    if capsule is not None:
        certificate.check("kernel", UNLOADED, True, "")
        return capsule, "kernel"
    ways = [hook(cell, way, stage.name) for stage in cell.contract.stages for way in ("forward", "backward")]
    if not all(ways):
        certificate.notes.append("no kernel, and no twin that the time loop can call")
        return None, ""
    certificate.notes.append("no kernel: the twin was certified, also as the time loop calls it")
    return twin_kernel(cell, sizes), "twin"


def _certify_widths(
    certificate: Certificate,
    checks: list[TwinChecks],
    kernel: tuple[Any, str],
    cell: Any,
    sizes: dict[str, int],
    dtype: str | None,
) -> None:
    """The twin, and the kernel against it, with one unit, and with units that fill whole SIMD registers."""
    seen = {sizes["hidden_size"]}
    for units in WIDTHS:
        wide = fitting(cell, sizes | {"hidden_size": units, "input_size": max(1, units - 1)})
        if wide["hidden_size"] in seen:
            continue
        seen.add(wide["hidden_size"])
        widths = cell.contract.resolve(**wide)
        capsule = kernel[0] and (load_kernel if kernel[1] == "kernel" else twin_kernel)(cell, widths.sizes)
        _certify_width(certificate, checks, (capsule, kernel[1]), widths, wide["hidden_size"], dtype)


def _certify_width(
    certificate: Certificate,
    checks: list[TwinChecks],
    kernel: tuple[Any, str],
    widths: Widths,
    units: int,
    dtype: str | None = None,
) -> None:
    for stage in checks:
        certified = stage.at_width(widths, f", {units} unit{'s' * (units > 1)}")
        if certified is not None and kernel[0] is not None:
            certify_kernel(certificate, kernel[0], certified, dtype, kernel[1], stage.carefully)


def certify_width(cell: Any, widths: Widths) -> Certificate:
    """Check a certified cell, which runs as its twin, at the widths of a layer: along one direction of each input."""
    certificate = Certificate(name_of(cell))
    checks = [TwinChecks(certificate, cell, stage) for stage in cell.contract.stages]
    with np.errstate(all="ignore"):
        for each in checks:
            each.choose_domain(cell.contract.resolve(**usual_sizes(cell)))
            each.method = "complex steps"
        _certify_width(
            certificate, checks, (twin_kernel(cell, widths.sizes), "twin"), widths, widths[cell.contract.output]
        )
    return certificate
