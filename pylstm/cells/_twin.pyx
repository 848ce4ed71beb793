"""Row hooks that call a cell's NumPy twin, so that a cell without a compiled kernel runs in the same time loop."""
from cpython.exc cimport PyErr_Clear
from cpython.pycapsule cimport PyCapsule_New, PyCapsule_SetContext
from libc.stdlib cimport calloc, free

from pylstm.kernel cimport (
    PYLSTM_CELL_ABI, PYLSTM_CELL_CAPSULE, block_t, cell_t, floating, hook_t, rows_t, stage_t)
