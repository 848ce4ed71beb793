# What a compiled cell kernel cimports: the C contract of pylstm/cell.h and the way to a row of a block.
# A kernel is written once, for the fused type `floating`; `publish` puts both specialisations into a capsule.
from cpython.pycapsule cimport PyCapsule_New

ctypedef fused floating:
    float
    double

cdef extern from "pylstm/cell.h" nogil:
    enum: PYLSTM_CELL_ABI
    const char *PYLSTM_CELL_CAPSULE

    ctypedef struct block_t "pylstm_block":
        void *data
        Py_ssize_t stride
        Py_ssize_t width

    ctypedef struct rows_t "pylstm_rows":
        Py_ssize_t rows
        const block_t *gates
        const block_t *z "gates"                    # the loop's name for them: it knows blocks, not their meaning
        const block_t *prev
        const block_t *emissions
        const block_t *keep
        const block_t *states
        const block_t *params
        const block_t *aux
        const block_t *dgates
        const block_t *dz "dgates"
        const block_t *dprev
        const block_t *demissions
        const block_t *dstates
        const block_t *dparams
        const block_t *daux

    ctypedef void (*hook_t "pylstm_hook")(const rows_t *rows, void *user) noexcept nogil

    ctypedef struct stage_t "pylstm_stage":
        hook_t forward
        hook_t backward
        void *user

    ctypedef struct cell_t "pylstm_cell":
        size_t abi
        size_t size
        const char *name
        Py_ssize_t stages
        Py_ssize_t gates
        Py_ssize_t z "gates"
        Py_ssize_t states
        Py_ssize_t emissions
        Py_ssize_t keep
        Py_ssize_t params
        Py_ssize_t aux
        const stage_t *float32
        const stage_t *float64


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define PYLSTM_ROW_VOID __attribute__((noinline)) void
    #else
    #define PYLSTM_ROW_VOID void
    #endif
    """
    # What a function of one row returns: nothing, and the function is not inlined. In a loop over rows the compiler
    # would prepare a dozen strides and ends in advance: 3 to 6 % of the time of a streaming step of 8 units.
    ctypedef void row_void "PYLSTM_ROW_VOID"


cdef inline floating *row(const block_t *block, Py_ssize_t b, floating *dtype) noexcept nogil:
    """Row `b` of a block. `dtype` only selects the type: pass the hook's own last argument."""
    return <floating *> block.data + b * block.stride


cdef inline object publish(cell_t *cell):
    """The capsule through which `cell` (a module-level struct) reaches pylstm."""
    cell.abi = PYLSTM_CELL_ABI
    cell.size = sizeof(cell_t)
    return PyCapsule_New(cell, PYLSTM_CELL_CAPSULE, NULL)
