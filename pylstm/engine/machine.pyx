"""The expression machine: row hooks of a formula cell, interpreted, without Python and without a compiler.

# Design
#
# A. A formula is traced and derived once (`pylstm/cells/formula/`); its `machine.py` turns each program into instructions
#    of `include/machine_ops.h` over operands: blocks of the cell, registers, constants. Here they are bound to
#    memory and run. The machine knows blocks, not what they mean.
# B. An instruction is one loop over rows x width, compiled once per operation, dtype and instruction-set level, from one
#    line of a table: the cost of dispatch is shared by all elements of a call.
# C. Blocks are operands: nothing is loaded first, and a result goes straight to its block. An instruction whose rows
#    follow one another in memory (registers, states) runs as one long row: that is what short rows need.
# D. Rows are taken in groups and wide rows in pieces, of CHUNK elements at most, so that the registers, which lie on the
#    stack of the calling thread, stay in L1 together with a group's blocks.
# E. Values of one element per row have a phase of their own before the wide ones; sums over a row, and what is made of
#    them, come after.
# F. Same bits: an element's operations depend on the program alone. A sum over a row is formed in one order (by pieces
#    whose size depends on the program alone); accumulators of parameters take the rows in order.
# G. A program is read-only when it runs: threads share it.
# H. Where units of a row meet (softmax, a product with a matrix in the state), the program runs on whole rows: one phase,
#    instructions of different widths, which are numbers when the program is bound. Registers beyond SCRATCH are allocated
#    for the call.
#
# Measured (benchmarks/formulas.py; AVX-512, float32, one thread), training time of the LSTM as a formula to that of the
# bundled kernel: 1.26 at (B, T, H) = (1, 100, 8), 1.11 at (1, 100, 32), 1.03 at (1, 100, 128), 1.08 at (32, 100, 32),
# 1.02 to 1.04 at (32, 100, 64), (32, 100, 128), (64, 50, 256). The Python twin: 166 at (1, 100, 8).
#    Fused operations (B, `PATTERNS` of fusion.py): without them 1.28 in place of 1.15 at (1, 100, 8), 1.10 in place of 1.06 at
#    (32, 100, 32). Rows that follow one another as one long row (C): 6 percent at (32, 100, 8). CHUNK (D), one backward
#    hook at B = 64, H = 256: 512 is 5 percent slower in float32, 2048 is 5 percent slower in float32, 14 in float64.
#    Not used: `restrict` in the loops, since a result may replace its operand (PYLSTM_INDEPENDENT in machine.h).
"""
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.pycapsule cimport PyCapsule_GetContext, PyCapsule_New, PyCapsule_SetContext
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uintptr_t
from libc.stdlib cimport abort, free, malloc

from pylstm.engine.line cimport LINE
from pylstm.kernel cimport PYLSTM_CELL_ABI, PYLSTM_CELL_CAPSULE, block_t, cell_t, floating, hook_t, rows_t, stage_t

cdef extern from "machine.h" nogil:
    ctypedef struct operand_t "pylstm_operand":
        char *data
        Py_ssize_t stride
        Py_ssize_t width
        int compact
    ctypedef struct code_t "pylstm_code"
    ctypedef void (*op_t "pylstm_op")(const operand_t *o, const code_t *i, Py_ssize_t rows, Py_ssize_t width) noexcept
    ctypedef struct code_t "pylstm_code":
        op_t run
        int d, a, b, c, e
        int across
        Py_ssize_t groups
    ctypedef struct opcode_t "pylstm_opcode":
        const char *name
        int operands
        op_t set[2]
        op_t add[2]
        int across
    const opcode_t *pylstm_opcodes
    enum: PYLSTM_OPCODES

# `block_of` takes the kinds of blocks for an array of pointers: they must follow each other in the order of KINDS.
cdef extern from *:
    """
    #include <stddef.h>
    #define KIND(name, k) \
        _Static_assert(offsetof(pylstm_rows, name) == offsetof(pylstm_rows, gates) + k * sizeof(void *), #name)
    KIND(gates, 0);
    KIND(prev, 1);
    KIND(emissions, 2);
    KIND(keep, 3);
    KIND(states, 4);
    KIND(params, 5);
    KIND(aux, 6);
    KIND(dgates, 7);
    KIND(dprev, 8);
    KIND(demissions, 9);
    KIND(dstates, 10);
    KIND(dparams, 11);
    KIND(daux, 12);
    #undef KIND
    """

# Elements of a register at most; bytes of all registers of a call; operands of a program.
cdef enum:
    CHUNK = 1024
    SCRATCH = 32768
    OPERANDS = 512

KINDS = ("gates", "prev", "emissions", "keep", "states", "params", "aux",
         "dgates", "dprev", "demissions", "dstates", "dparams", "daux")
SPACES = ("wide block", "narrow block", "wide register", "narrow register", "constant")

cdef enum:
    WIDE_BLOCK
    NARROW_BLOCK
    WIDE_REGISTER
    NARROW_REGISTER
    CONSTANT

cdef struct slot_t:              # where an operand is found
    int space
    int kind                     # of a block: index into KINDS; of a register or constant: its number
    int index                    # of a block: its position in its kind
    Py_ssize_t width             # of a program of whole rows: elements of a row, and where a register starts
    Py_ssize_t start

cdef struct phase_t:             # instructions of one width: that of operand `block`, or 1 if it is -1
    int first, last, block

cdef struct program_t:
    int n_slots, n_phases
    Py_ssize_t chunk             # elements of a register
    Py_ssize_t group             # of a program of whole rows: rows at a time; 0: rows in pieces
    Py_ssize_t scratch           # then: bytes of all registers
    slot_t *slots
    phase_t *phases
    code_t *code
    char *constants

cdef struct pair_t:              # what `user` of a stage points to
    program_t forward, backward


def opcodes():
    """Name -> (number of operands, whether the result can be written, whether it can be added), of every operation."""
    cdef const opcode_t *each
    cdef int k
    found = {}
    for k in range(PYLSTM_OPCODES):
        each = &pylstm_opcodes[k]
        found[each.name.decode()] = each.operands, each.set[0] != NULL, each.add[0] != NULL
    return found


def piece(registers, itemsize):
    """Elements of a register, of a program that is not one of whole rows: so many units of a row are added up at once."""
    return min(CHUNK, SCRATCH // (itemsize * max(1, registers))) // 16 * 16


NUMBERS = {name: number for number, name in enumerate(opcodes())}


cdef class Machine:
    """Memory of the programs and tables of one cell, alive as long as its capsule."""
    cdef cell_t cell
    cdef bytes name
    cdef list blocks                       # addresses of all that is allocated
    cdef stage_t *stages[2]

    def __cinit__(self):
        self.blocks = []

    def __dealloc__(self):
        for address in self.blocks:
            PyMem_Free(<void *> <uintptr_t> address)

    cdef void *allocate(self, Py_ssize_t nbytes) except NULL:
        cdef void *memory = PyMem_Calloc(1, nbytes + 1)
        if memory == NULL:
            raise MemoryError("a program of the expression machine")
        self.blocks.append(<uintptr_t> memory)
        return memory

    cdef int take(self, program_t *p, program, dict counts, int double_) except -1:
        """Bind `program` (see `build`) for float32 or float64."""
        cdef Py_ssize_t size = 8 if double_ else 4, k, n
        cdef int number
        cdef double value
        cdef const opcode_t *opcode
        slots, constants, registers = program["slots"], program["constants"], program["registers"]
        widths = program.get("widths")
        p.n_slots, p.n_phases = len(slots), len(program["phases"])
        p.chunk = CHUNK if widths else piece(registers, size)
        if p.n_slots > OPERANDS or p.chunk == 0:
            raise ValueError(f"a formula of {p.n_slots} blocks, registers and constants: at most {OPERANDS}; "
                             f"of {registers} registers: at most {SCRATCH // (16 * size)}. "
                             f"Make several stages of the one, or give the cell a compiled kernel")
        p.slots = <slot_t *> self.allocate(p.n_slots * sizeof(slot_t))
        p.phases = <phase_t *> self.allocate(p.n_phases * sizeof(phase_t))
        p.code = <code_t *> self.allocate(len(program["code"]) * sizeof(code_t))
        p.constants = <char *> self.allocate(len(constants) * p.chunk * size)
        for k, (space, kind, index) in enumerate(slots):
            p.slots[k].space, p.slots[k].kind, p.slots[k].index = SPACES.index(space), kind, index
            check_slot(SPACES[p.slots[k].space], kind, index, counts, registers, len(constants))
        if widths:
            self.take_widths(p, widths, registers, size)
        for k, (first, last, block) in enumerate(program["phases"]):
            p.phases[k].first, p.phases[k].last, p.phases[k].block = first, last, block
        for k, (name, adds, d, operands, *groups) in enumerate(program["code"]):
            for slot in (d, *operands):
                if not 0 <= slot < p.n_slots:
                    raise ValueError(f"{name!r}: there is no slot {slot}")
            number = NUMBERS.get(name, NUMBERS["copy"])
            opcode = &pylstm_opcodes[number]
            p.code[k].run = opcode.add[double_] if adds else opcode.set[double_]
            p.code[k].across, p.code[k].groups = opcode.across, groups[0] if groups else 1
            if name not in NUMBERS or p.code[k].run == NULL or opcode.operands != len(operands):
                raise ValueError(f"no operation {name!r} of {len(operands)} operands that {'adds' if adds else 'writes'}")
            a, b, c, e = (list(operands) + [operands[0]] * 4)[:4]
            p.code[k].d, p.code[k].a, p.code[k].b, p.code[k].c, p.code[k].e = d, a, b, c, e
        for k, value in enumerate(constants):
            for n in range(p.chunk):
                if double_:
                    (<double *> p.constants)[k * p.chunk + n] = value
                else:
                    (<float *> p.constants)[k * p.chunk + n] = <float> value
        return 0

    cdef int take_widths(self, program_t *p, widths, Py_ssize_t registers, Py_ssize_t size) except -1:
        """Rows at a time, and a place for each register: `widths` are those of the slots."""
        cdef Py_ssize_t k, width, at = 0
        p.group = max(1, CHUNK // max(widths))
        starts = {}
        for k, width in enumerate(widths):
            p.slots[k].width = width
            if p.slots[k].space in (WIDE_REGISTER, NARROW_REGISTER):
                if p.slots[k].kind not in starts:
                    starts[p.slots[k].kind] = at
                    at += (p.group * width + 15) // 16 * 16
                p.slots[k].start = starts[p.slots[k].kind] * size
        p.scratch = at * size
        return 0

    cdef publish(self, str name, dict counts, list stages):
        cdef Py_ssize_t k, double_
        cdef pair_t *pair
        self.name = name.encode()
        for double_ in range(2):
            self.stages[double_] = <stage_t *> self.allocate(len(stages) * sizeof(stage_t))
            for k, (forward_, backward_) in enumerate(stages):
                pair = <pair_t *> self.allocate(sizeof(pair_t))
                self.take(&pair.forward, forward_, counts, double_)
                self.take(&pair.backward, backward_, counts, double_)
                self.stages[double_][k].forward = <hook_t> forward[double] if double_ else <hook_t> forward[float]
                self.stages[double_][k].backward = <hook_t> backward[double] if double_ else <hook_t> backward[float]
                self.stages[double_][k].user = pair
        self.cell.abi, self.cell.size, self.cell.name = PYLSTM_CELL_ABI, sizeof(cell_t), self.name
        self.cell.stages, self.cell.gates, self.cell.states = len(stages), counts["gates"], counts["states"]
        self.cell.emissions, self.cell.keep = counts["emissions"], counts["keep"]
        self.cell.params, self.cell.aux = counts["params"], counts["aux"]
        self.cell.float32, self.cell.float64 = self.stages[0], self.stages[1]
        capsule = PyCapsule_New(&self.cell, PYLSTM_CELL_CAPSULE, release)
        PyCapsule_SetContext(capsule, <void *> self)
        Py_INCREF(self)
        return capsule


cdef check_slot(space, kind, index, dict counts, registers, n_constants):
    """Refuse a slot that is nowhere."""
    if space == "constant" or space.endswith("register"):
        inside = 0 <= kind < (n_constants if space == "constant" else registers)
    else:
        what = KINDS[kind].removeprefix("d")
        inside = 0 <= index < counts["states" if what == "prev" else what]
    if not inside:
        raise ValueError(f"there is no {space} {kind}, {index}")


cdef void release(object capsule) noexcept:
    Py_DECREF(<object> PyCapsule_GetContext(capsule))


def build(str name, dict counts, list stages):
    """The capsule of a cell whose row hooks are programs.

    Parameters
    ----------
    name : str
    counts : dict of str to int
        Number of blocks of every kind.
    stages : list of (forward, backward)
        Programs, dicts of

        slots : list of (space, kind, index)
            Operands: an element of `SPACES`; of blocks the index in `KINDS` and the position in the kind; of
            registers and constants their number and 0.
        registers : int
        constants : list of float
        code : list of (operation, adds, result, operands) or (..., groups)
            Results and operands are indices into `slots`; groups: of operations across the units of a row.
        phases : list of (first, last, block)
            Code from `first` to before `last` has the width of the block in slot `block`; width 1 if it is -1.
        widths : list of int, optional
            Of the slots: then the code runs on whole rows, in one phase, and units of a row may meet.

    Raises
    ------
    ValueError
        An operation that does not exist in that form; more operands than the machine has.
    """
    machine = Machine()
    return machine.publish(name, counts, stages)


cdef void forward(const rows_t *r, floating *user) noexcept nogil:
    run(r, &(<const pair_t *> user).forward, user)


cdef void backward(const rows_t *r, floating *user) noexcept nogil:
    run(r, &(<const pair_t *> user).backward, user)


cdef void run(const rows_t *r, const program_t *p, floating *dtype) noexcept nogil:
    """All rows, in groups; of each the phases, in pieces."""
    cdef operand_t o[OPERANDS]
    cdef char memory[SCRATCH + LINE]
    cdef char *scratch = memory + (-(<uintptr_t> &memory[0]) & (LINE - 1))
    cdef Py_ssize_t group = r.rows, first, rows, width, widest = 1, at, n
    cdef int k
    cdef const phase_t *phase
    if p.group:
        run_whole(r, p, o, scratch, dtype)
        return
    for k in range(p.n_phases):
        widest = max(widest, width_of(r, p, &p.phases[k]))
    if group * widest > p.chunk:
        group = max(p.chunk // widest, 1)
    first = 0
    while first < r.rows:
        rows = min(group, r.rows - first)
        for k in range(p.n_phases):
            phase = &p.phases[k]
            width = width_of(r, p, phase)
            at = 0
            while at < width:
                n = min(width - at, p.chunk)
                bind(o, r, p, scratch, first, at, n, dtype)
                execute(o, p.code + phase.first, p.code + phase.last, rows, n)
                at += n
        first += rows


cdef void run_whole(const rows_t *r, const program_t *p, operand_t *o, char *scratch, floating *dtype) noexcept nogil:
    """All rows, in groups; of each the instructions one after another, each of its own width."""
    cdef Py_ssize_t first = 0, rows
    cdef const code_t *last = p.code + p.phases[0].last
    cdef const code_t *i
    cdef char *own = NULL
    if p.scratch > SCRATCH:
        own = <char *> malloc(p.scratch + LINE)
        if own == NULL:
            abort()                       # a hook cannot fail; less memory than a step of one row takes
        scratch = own + (-(<uintptr_t> own) & (LINE - 1))
    while first < r.rows:
        rows = min(p.group, r.rows - first)
        bind_whole(o, r, p, scratch, first, dtype)
        i = p.code
        while i != last:
            if i.across or o[i.d].width <= CHUNK:
                i.run(o, i, rows, o[i.d].width)
            else:
                run_in_pieces(o, i, rows, dtype)
            i += 1
        first += rows
    free(own)


cdef void run_in_pieces(const operand_t *o, const code_t *i, Py_ssize_t rows, floating *dtype) noexcept nogil:
    """An element-wise instruction on rows that are longer than a constant."""
    cdef operand_t piece[5]
    cdef code_t code = i[0]
    cdef Py_ssize_t row, at, width = o[i.d].width, size = sizeof(floating)
    cdef const int *numbers = &i.d
    cdef const operand_t *whole
    cdef int k
    code.d, code.a, code.b, code.c, code.e = 0, 1, 2, 3, 4
    for row in range(rows):
        at = 0
        while at < width:
            for k in range(5):
                whole = &o[numbers[k]]
                piece[k].data = whole.data + (row * whole.stride + (at if whole.width else 0)) * size
                piece[k].stride, piece[k].width, piece[k].compact = 0, whole.width, True
            i.run(piece, &code, 1, min(width - at, CHUNK))
            at += CHUNK


cdef inline void bind_whole(operand_t *o, const rows_t *r, const program_t *p, char *scratch, Py_ssize_t first,
                            floating *dtype) noexcept nogil:
    """Operands at row `first`, whole rows. A constant has width 0."""
    cdef Py_ssize_t size = sizeof(floating)
    cdef int k
    cdef const slot_t *slot
    cdef const block_t *block
    for k in range(p.n_slots):
        slot = &p.slots[k]
        o[k].width = slot.width
        if slot.space <= NARROW_BLOCK:
            block = block_of(r, slot)
            o[k].data = <char *> block.data + first * block.stride * size
            o[k].stride, o[k].compact = block.stride, block.stride == slot.width
        elif slot.space == CONSTANT:
            o[k].data, o[k].stride, o[k].compact = p.constants + slot.kind * p.chunk * size, 0, True
        else:
            o[k].data, o[k].stride, o[k].compact = scratch + slot.start, slot.width, True


cdef inline const block_t *block_of(const rows_t *r, const slot_t *slot) noexcept nogil:
    return (&r.gates)[slot.kind] + slot.index


cdef inline Py_ssize_t width_of(const rows_t *r, const program_t *p, const phase_t *phase) noexcept nogil:
    return 1 if phase.block < 0 else block_of(r, &p.slots[phase.block]).width


cdef inline void bind(operand_t *o, const rows_t *r, const program_t *p, char *scratch, Py_ssize_t first, Py_ssize_t at,
                      Py_ssize_t width, floating *dtype) noexcept nogil:
    """Operands at row `first`; of wide ones `width` elements from element `at`."""
    cdef Py_ssize_t size = sizeof(floating)
    cdef int k, space
    cdef const block_t *block
    for k in range(p.n_slots):
        space = p.slots[k].space
        if space <= NARROW_BLOCK:
            block = block_of(r, &p.slots[k])
            o[k].data = <char *> block.data + (first * block.stride + (at if space == WIDE_BLOCK else 0)) * size
            o[k].stride = block.stride
            o[k].compact = block.stride == (width if space == WIDE_BLOCK else 1)
        elif space == CONSTANT:
            o[k].data = p.constants + p.slots[k].kind * p.chunk * size
            o[k].stride = 0
            o[k].compact = True
        else:
            o[k].data = scratch + p.slots[k].kind * p.chunk * size
            o[k].stride = width if space == WIDE_REGISTER else 1
            o[k].compact = True


cdef inline void execute(const operand_t *o, const code_t *i, const code_t *last, Py_ssize_t rows,
                         Py_ssize_t width) noexcept nogil:
    while i != last:
        i.run(o, i, rows, width)
        i += 1
