"""One row hook of a compiled cell, called without the time loop: for certification, tests and measurements."""
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from pylstm.engine.capsule cimport cell_of
from pylstm.kernel cimport block_t, cell_t, hook_t, rows_t, stage_t

cdef extern from "Python.h":
    Py_buffer *PyMemoryView_GET_BUFFER(object view)
    void *PyErr_Occurred() noexcept

FORWARD = ("gates", "prev", "emissions", "keep", "states", "params", "aux")
BACKWARD = ("dgates", "dprev", "demissions", "dstates", "dparams", "daux")
VECTORS = ("params", "dparams")


cdef int check_stage(const cell_t *cell, Py_ssize_t stage) except -1:
    if not 0 <= stage < cell.stages:
        raise ValueError(f"kernel {cell.name.decode()!r} has {cell.stages} stages, stage {stage} does not exist")
    return 0


cdef const stage_t *stage_of(const cell_t *cell, Py_ssize_t stage, bint backward, str dtype) except NULL:
    """The hooks of a stage in a dtype ("f" or "d"); the one asked for is there."""
    check_stage(cell, stage)
    cdef const stage_t *stages = cell.float32 if dtype == "f" else cell.float64
    if stages == NULL:
        raise TypeError(f"kernel {cell.name.decode()!r} offers no {'float32' if dtype == 'f' else 'float64'}")
    if (stages[stage].backward if backward else stages[stage].forward) == NULL:
        raise TypeError(f"kernel {cell.name.decode()!r} has no {'backward' if backward else 'forward'} hook "
                        f"in stage {stage}")
    return &stages[stage]


cdef void set_blocks(rows_t *r, const block_t **at) noexcept:
    """The first block of each kind, in the order of FORWARD + BACKWARD."""
    r.gates, r.prev, r.emissions, r.keep, r.states, r.params, r.aux = (
        at[0], at[1], at[2], at[3], at[4], at[5], at[6])
    r.dgates, r.dprev, r.demissions, r.dstates, r.dparams, r.daux = at[7], at[8], at[9], at[10], at[11], at[12]


def describe(capsule):
    """What a compiled cell says of itself: see the stub for the documentation."""
    cdef const cell_t *cell = cell_of(capsule)
    offered = (("float32", cell.float32 != NULL), ("float64", cell.float64 != NULL))
    return {
        "abi": cell.abi,
        "name": cell.name.decode(),
        "dtypes": tuple(name for name, there in offered if there),
        "stages": cell.stages,
        "gates": cell.gates,
        "states": cell.states,
        "emissions": cell.emissions,
        "keep": cell.keep,
        "params": cell.params,
        "aux": cell.aux,
    }


def run_stage(capsule, Py_ssize_t stage, bint backward, blocks):
    """Call one row hook on the given blocks: see the stub for the documentation."""
    check_stage(cell_of(capsule), stage)
    unknown = sorted(set(blocks) - set(FORWARD + BACKWARD))
    if unknown:
        raise ValueError(f"unknown kinds of blocks: {', '.join(unknown)} (known: {', '.join(FORWARD + BACKWARD)})")
    name = cell_of(capsule).name.decode()
    views = {kind: _views(name, kind, blocks.get(kind, ()), count)
             for kind, count in _expected(capsule, stage, backward)}
    _check_shapes(views)
    rows, dtype = _rows_and_dtype(views)
    _call(capsule, stage, backward, rows, dtype, views)


cdef class SideBySide:
    """One row hook whose blocks are columns of one array: see the stub for the documentation."""
    cdef object capsule  # keeps the hook
    cdef hook_t hook
    cdef void *user
    cdef rows_t r
    cdef block_t *table
    cdef Py_ssize_t *starts
    cdef Py_ssize_t n, columns, length, itemsize
    cdef str dtype

    def __cinit__(self, capsule, Py_ssize_t stage, bint backward, str dtype, blocks):
        cdef const cell_t *cell = cell_of(capsule)
        cdef const block_t *at[13]
        self.capsule = capsule
        self.dtype, self.itemsize = ("f", 4) if dtype == "float32" else ("d", 8)
        cdef const stage_t *own = stage_of(cell, stage, backward, self.dtype)
        self.hook, self.user = own.backward if backward else own.forward, own.user
        expected = _expected(capsule, stage, backward)
        self.table = <block_t *> PyMem_Calloc(1 + sum(count for _, count in expected), sizeof(block_t))
        self.starts = <Py_ssize_t *> PyMem_Calloc(1 + sum(count for _, count in expected), sizeof(Py_ssize_t))
        if self.table == NULL or self.starts == NULL:
            raise MemoryError("the table of blocks")
        for k in range(13):
            at[k] = NULL
        for kind, count in expected:
            places = blocks.get(kind, ())[:count]
            if len(places) != count:
                raise ValueError(f"{count} blocks of kind {kind} expected, got {len(places)}")
            at[<Py_ssize_t> (FORWARD + BACKWARD).index(kind)] = self.table + self.n if count else NULL
            for start, width in places:
                self.table[self.n].width, self.table[self.n].stride = width, 0 if kind in VECTORS else -1
                self.starts[self.n] = start
                if start < 0 or width < 0:
                    raise ValueError(f"{kind}: a block of {width} columns from {start} on")
                if kind in VECTORS:
                    self.length = max(self.length, start + width)
                else:
                    self.columns = max(self.columns, start + width)
                self.n += 1
        set_blocks(&self.r, at)

    def __dealloc__(self):
        PyMem_Free(self.table)
        PyMem_Free(self.starts)

    def __call__(self, rows, vectors):
        cdef Py_buffer *one
        cdef Py_buffer *other
        cdef Py_ssize_t k
        views = memoryview(rows), memoryview(vectors)
        one, other = PyMemoryView_GET_BUFFER(views[0]), PyMemoryView_GET_BUFFER(views[1])
        for view in views:
            if view.format != self.dtype or not view.c_contiguous or view.readonly:
                raise ValueError(f"expected a contiguous array of format {self.dtype!r} to write to")
        if one.ndim != 2 or other.ndim != 1 or one.shape[1] < self.columns or other.shape[0] < self.length:
            raise ValueError(f"expected shapes (rows, {self.columns}) and ({self.length},), "
                             f"got {views[0].shape} and {views[1].shape}")
        for k in range(self.n):
            if self.table[k].stride == 0:
                self.table[k].data = <char *> other.buf + self.starts[k] * self.itemsize
            else:
                self.table[k].data = <char *> one.buf + self.starts[k] * self.itemsize
                self.table[k].stride = one.shape[1]
        self.r.rows = one.shape[0]
        with nogil:
            self.hook(&self.r, self.user)
        raise_pending()


cdef list _expected(capsule, Py_ssize_t stage, bint backward):
    """(kind, number of blocks) of a stage. The states and their cotangents belong to the last stage only."""
    cdef const cell_t *cell = cell_of(capsule)
    cdef bint last = stage == cell.stages - 1
    cdef Py_ssize_t states = cell.states if last else 0
    kinds = [("gates", cell.gates), ("prev", cell.states), ("emissions", cell.emissions), ("keep", cell.keep),
             ("states", states), ("params", cell.params), ("aux", cell.aux)]
    if backward:
        kinds += [("dgates", cell.gates), ("dprev", cell.states), ("demissions", cell.emissions),
                  ("dstates", states), ("dparams", cell.params), ("daux", cell.aux)]
    return kinds


def _views(name, kind, arrays, count):
    """Memoryviews of the arrays of one kind, each checked by itself."""
    if len(arrays) != count and (count or kind not in ("states", "dstates")):
        raise ValueError(f"kernel {name!r} has {count} blocks of kind {kind}, got {len(arrays)} arrays")
    views = [memoryview(array) for array in arrays[:count]]
    ndim = 1 if kind in VECTORS else 2
    for k, view in enumerate(views):
        if view.format not in ("f", "d"):
            raise TypeError(f"{kind}[{k}] must be float32 or float64 (native byte order), got format {view.format!r}")
        if view.ndim != ndim:
            shape = "(width,)" if ndim == 1 else "(rows, width)"
            raise ValueError(f"{kind}[{k}] must have shape {shape}, got {tuple(view.shape)}")
        if view.shape[ndim - 1] > 1 and view.strides[ndim - 1] != view.itemsize or view.strides[0] % view.itemsize:
            raise ValueError(f"{kind}[{k}] must have contiguous rows, got strides {view.strides}")
        if view.readonly and kind not in ("prev", "params", "aux", "dstates"):
            raise ValueError(f"{kind}[{k}] is read-only")
    return views


def _check_shapes(views):
    """A cotangent has the shape of its block, and `prev` that of `states`."""
    pairs = [("states", "prev")] + [("d" + kind, kind) for kind in FORWARD]
    for one, other in pairs:
        for k, (a, b) in enumerate(zip(views.get(one, ()), views.get(other, ()))):
            if a.shape != b.shape:
                raise ValueError(f"{one}[{k}] has shape {tuple(a.shape)} but {other}[{k}] {tuple(b.shape)}")


def _rows_and_dtype(views):
    """The number of rows and the buffer format that all blocks share."""
    named = [(f"{kind}[{k}]", view) for kind, each in views.items() for k, view in enumerate(each)]
    first, reference = named[0]
    for name, view in named:
        if view.format != reference.format:
            raise TypeError(f"{name} has format {view.format!r} but {first} {reference.format!r}: one dtype for all")
    (first, reference), *others = [(name, view) for name, view in named if view.ndim == 2]
    for name, view in others:
        if view.shape[0] != reference.shape[0]:
            raise ValueError(f"{name} has {view.shape[0]} rows but {first} {reference.shape[0]}")
    return reference.shape[0], reference.format


cdef int raise_pending() except -1:
    """Raise what a hook in Python raised."""
    return -1 if PyErr_Occurred() != NULL else 0


cdef object _call(capsule, Py_ssize_t stage, bint backward, Py_ssize_t n_rows, str dtype, dict views):
    """Lay out the table of blocks and call the hook."""
    cdef const cell_t *cell = cell_of(capsule)
    cdef const stage_t *own = stage_of(cell, stage, backward, dtype)
    cdef hook_t hook = own.backward if backward else own.forward
    cdef block_t *table = <block_t *> PyMem_Calloc(1 + sum(map(len, views.values())), sizeof(block_t))
    cdef block_t *next_block = table
    cdef const block_t *at[13]
    cdef Py_buffer *buffer
    cdef rows_t r
    if table == NULL:
        raise MemoryError("the table of blocks")
    try:
        for k, kind in enumerate(FORWARD + BACKWARD):
            at[<Py_ssize_t> k] = next_block if views.get(kind) else NULL
            for view in views.get(kind, ()):
                buffer = PyMemoryView_GET_BUFFER(view)
                next_block.data = buffer.buf
                next_block.width = buffer.shape[buffer.ndim - 1]
                next_block.stride = buffer.strides[0] // buffer.itemsize if buffer.ndim == 2 else 0
                next_block += 1
        r.rows = n_rows
        set_blocks(&r, at)
        with nogil:
            hook(&r, own.user)
        raise_pending()
    finally:
        PyMem_Free(table)
