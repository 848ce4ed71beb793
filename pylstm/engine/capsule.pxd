# The way from a cell's capsule to its struct: the one place where name, ABI and size are checked.
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid

from pylstm.kernel cimport PYLSTM_CELL_ABI, PYLSTM_CELL_CAPSULE, cell_t


cdef inline const cell_t *cell_of(object capsule) except NULL:
    """The struct in `capsule`."""
    if not PyCapsule_IsValid(capsule, PYLSTM_CELL_CAPSULE):
        raise TypeError(f"a cell's kernel must be a capsule named {PYLSTM_CELL_CAPSULE.decode()!r}, got {capsule!r}")
    cdef const cell_t *cell = <const cell_t *> PyCapsule_GetPointer(capsule, PYLSTM_CELL_CAPSULE)
    if cell.abi != PYLSTM_CELL_ABI or cell.size != sizeof(cell_t):
        raise ImportError(f"kernel built for cell ABI {cell.abi} and a pylstm_cell of {cell.size} bytes, this pylstm has "
                          f"ABI {PYLSTM_CELL_ABI} and {sizeof(cell_t)} bytes: build the kernel again with this pylstm")
    return cell
