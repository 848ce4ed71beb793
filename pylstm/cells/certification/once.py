"""Certification once per class and process: what every layer asks for, however its cell came in."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pylstm.cells.cell import Cell
from pylstm.cells.twin import functions_of
from pylstm.cells.widths import Widths

if TYPE_CHECKING:
    from pylstm.cells.certification.certificate import Certificate

_LOCK = threading.RLock()


def remembered(cell: type[Cell]) -> Certificate | None:
    """The certificate of `cell` in this process; None if none was asked for yet. Subclasses have their own.

    None again once another forward, backward or kernel was assigned to the class.
    """
    if "_certificate" not in cell.__dict__:
        return None
    functions, found = cell.__dict__["_certificate"]
    return found if functions == functions_of(cell) else None


def ensure_certified(cell: type[Cell]) -> None:
    """Certify `cell`, unless that is done; safe to call from several threads.

    Raises
    ------
    pylstm.cells.certification.certify.CertificationError
        A value or a derivative is wrong: at every call.
    """
    found = remembered(cell)
    if found is None:
        from pylstm.cells.certification.certify import (
            certify,  # certification loads the oracle: only when it is asked for
        )
        from pylstm.cells.kernels import load_kernel

        with suppress(ImportError, TypeError, ValueError):  # the certificate says so
            load_kernel(cell)  # a module of somebody else is not imported with the lock held
        with _LOCK:
            found = remembered(cell)
            if found is None:
                found = certify(cell, raise_=False)
                cell._certificate = functions_of(cell), found
    _raise(found)


def ensure_certified_at(cell: type[Cell], widths: Widths) -> None:
    """Certify `cell`, which is certified and runs as its twin, at the widths of a layer, unless that is done.

    What is written in NumPy may ask for a width; a formula cannot, and a kernel is certified at widths that fill its
    registers and that do not.

    Raises
    ------
    pylstm.cells.certification.certify.CertificationError
        As `ensure_certified`.
    """
    key = functions_of(cell), tuple((name, width) for name, width in widths.items() if name != "x")
    with _LOCK:
        known = cell.__dict__.get("_certified_widths", {})
        if key not in known:
            from pylstm.cells.certification.certify import certify_width

            known = cell._certified_widths = known | {key: certify_width(cell, widths)}
    _raise(known[key])


def _raise(found: Certificate) -> None:
    if not found.ok:
        from pylstm.cells.certification.certificate import CertificationError

        raise CertificationError(found)
