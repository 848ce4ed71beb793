# A stream as C sees it: see stream.pyx.
from pylstm.engine.plan cimport MAX_BLOCKS, Core, Plan, plan_t
from pylstm.engine.table cimport arrays_t, span_t
from pylstm.engine.team cimport team_t


cdef class Snapshot:
    cdef readonly tuple kind
    cdef readonly bytes states


cdef class Stream:
    cdef plan_t plan
    cdef Plan layout                           # holds the tables that `plan` points to
    cdef arrays_t a
    cdef team_t alone                          # a stream runs on one thread
    cdef span_t span                           # of a call of `forward_steps`: all rows
    cdef Core core
    cdef readonly object layer, counted         # what counts its gates, or None
    cdef readonly Py_ssize_t batch_size
    cdef const char *aux[MAX_BLOCKS]           # of this call, at its first step
    cdef object buffer, weights, dtype
    cdef bytearray spare                       # room for all states, one after the other
    cdef tuple aux_names, shape, row_shape, kind
    cdef Py_ssize_t row                        # at which the states are
    cdef Py_ssize_t width                      # of the output
    cdef Py_ssize_t work                       # multiply-adds of a step
    cdef bint single                           # the arrays of this call have no axis of rows
    cdef bint batch_first
    cdef int held                              # by a call that is at work

    cdef take_layer(self, layer, B)
    cdef take_memory(self)
    cdef lay_out(self, weights)
    cdef step_checked(self, x_t, out, aux, reset)
    cdef feed_held(self, chunk, out, aux, reset)
    cdef feed_rows_first(self, chunk, out, aux, reset)
    cdef int run_checked(self, const char *x, char *y, Py_ssize_t T, resets) except -1
    cdef bint run(self, const char *x, char *y, Py_ssize_t T, const unsigned char *resets, const char *origin) noexcept
    cdef void run_burst(self, const char *x, char *y, Py_ssize_t t, Py_ssize_t last, const unsigned char *resets,
                        const char *origin) noexcept nogil
    cdef inline void carry_states(self) noexcept nogil
    cdef void start_rows(self, const unsigned char *rows, const char *origin) noexcept nogil
    cdef int hold(self) except -1
    cdef put_states(self, bytes states)
    cdef void copy_states(self, char *states, bint out) noexcept
    cdef char *look(self, array, Py_ssize_t *T, bint first, Py_ssize_t width, bint writable) noexcept
    cdef tuple shape_of(self, Py_ssize_t T, Py_ssize_t width)
    cdef bring(self, name, value, Py_ssize_t T, bint first, Py_ssize_t width)
    cdef take_aux(self, aux, Py_ssize_t T, out=*)
