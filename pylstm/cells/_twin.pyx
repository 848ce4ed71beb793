"""Row hooks that call a cell's NumPy twin, so that a cell without a compiled kernel runs in the same time loop."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport PyObject
from libc.string cimport memset

from pylstm.kernel cimport PYLSTM_CELL_CAPSULE, block_t, cell_t, floating, hook_t, publish, rows_t, stage_t

import numpy as np

cdef extern from "Python.h":
    PyObject *PyErr_Occurred() noexcept
    void PyErr_SetObject(object type, object value) noexcept
    int PyBUF_WRITE


cdef class Stage:
    """One stage's pair of Python functions ``f(kind -> list of arrays)``, as the loop calls them."""
    cdef object forward, backward
    cdef dict counts

    def __init__(self, counts, forward, backward):
        self.counts, self.forward, self.backward = counts, forward, backward


cdef class Kernel:
    """A cell of the C contract whose row hooks are Python functions.

    Parameters
    ----------
    name : str
    counts : dict of str to int
        Number of blocks of every kind.
    stages : list of (forward, backward)
        Python functions of one dict: kind -> list of arrays (rows, width), views of the loop's memory, to be written
        in place as `pylstm/cell.h` says. An exception stops the run and reaches the caller.

    Attributes
    ----------
    capsule : PyCapsule
        Valid as long as this object: keep both.
    """
    cdef cell_t cell
    cdef bytes name, tables
    cdef list stages
    cdef readonly object capsule

    def __init__(self, name, counts, stages):
        cdef stage_t *table
        cdef int k, n = len(stages)
        self.name, self.stages = name.encode(), [Stage(counts, *pair) for pair in stages]
        self.tables = PyBytes_FromStringAndSize(NULL, 2 * n * sizeof(stage_t))
        table = <stage_t *> PyBytes_AS_STRING(self.tables)
        for k in range(n):
            table[k].forward, table[k].backward = <hook_t> forward[float], <hook_t> backward[float]
            table[n + k].forward, table[n + k].backward = <hook_t> forward[double], <hook_t> backward[double]
            table[k].user = table[n + k].user = <void *> self.stages[k]
        memset(&self.cell, 0, sizeof(cell_t))
        self.cell.name = self.name
        self.cell.stages, self.cell.gates, self.cell.states = n, counts["gates"], counts["states"]
        self.cell.emissions, self.cell.keep = counts["emissions"], counts["keep"]
        self.cell.params, self.cell.aux = counts["params"], counts["aux"]
        self.cell.float32, self.cell.float64 = table, table + n
        self.capsule = publish(&self.cell)


def is_twin(capsule):
    """Whether the row hooks of a kernel are Python functions, for which threads would only wait in turn."""
    cdef const cell_t *cell = <const cell_t *> PyCapsule_GetPointer(capsule, PYLSTM_CELL_CAPSULE)
    return cell.float64 != NULL and cell.float64.forward == <hook_t> forward[double]


cdef void forward(const rows_t *r, floating *user) noexcept with gil:
    call(r, <Stage> <void *> user, False, user)


cdef void backward(const rows_t *r, floating *user) noexcept with gil:
    call(r, <Stage> <void *> user, True, user)


cdef void call(const rows_t *r, Stage stage, bint back, floating *dtype) noexcept:
    if PyErr_Occurred() != NULL:           # an earlier step failed: the loop runs out, then its caller sees the error
        return
    failure = None
    try:
        if back:
            stage.backward(arrays_of(r, stage.counts, True, dtype))
        else:
            stage.forward(arrays_of(r, stage.counts, False, dtype))
    except BaseException as error:
        failure = error
    if failure is not None:
        PyErr_SetObject(type(failure), failure)


cdef dict arrays_of(const rows_t *r, dict counts, bint back, floating *dtype):
    """Kind -> views of the rows of its blocks."""
    blocks = {
        "gates": views(r.gates, counts["gates"], r.rows, dtype), "prev": views(r.prev, counts["states"], r.rows, dtype),
        "emissions": views(r.emissions, counts["emissions"], r.rows, dtype),
        "keep": views(r.keep, counts["keep"], r.rows, dtype), "states": views(r.states, counts["states"], r.rows, dtype),
        "params": views(r.params, counts["params"], 1, dtype), "aux": views(r.aux, counts["aux"], r.rows, dtype)}
    if back:
        blocks |= {
            "dgates": views(r.dgates, counts["gates"], r.rows, dtype),
            "dprev": views(r.dprev, counts["states"], r.rows, dtype),
            "demissions": views(r.demissions, counts["emissions"], r.rows, dtype),
            "dstates": views(r.dstates, counts["states"], r.rows, dtype),
            "dparams": views(r.dparams, counts["params"], 1, dtype), "daux": views(r.daux, counts["aux"], r.rows, dtype)}
    return blocks


cdef list views(const block_t *blocks, object n, Py_ssize_t rows, floating *dtype):
    """The blocks of one kind as arrays (rows, width); none where the hook has none."""
    cdef Py_ssize_t k, size = sizeof(floating), span
    cdef const block_t *block
    out = []
    for k in range(n if blocks != NULL else 0):
        block = &blocks[k]
        span = ((rows - 1) * block.stride + block.width) * size if rows > 0 else 0
        memory = PyMemoryView_FromMemory(<char *> block.data, span, PyBUF_WRITE)
        out.append(np.ndarray((rows, block.width), f"f{size}", memory, 0, (block.stride * size, size)))
    return out
