"""One layer, step by step: `Stream`, the loop of a run with the states kept between calls.

# Design
#
# A. A stream runs `forward_steps` of the time loop on a workspace of its own, `chunk` steps at most at a time: same
#    products, same order, same bits as a whole sequence.
# B. Row 0 of every state is the state of the stream. A call writes rows 1.. and copies the last of them to row 0 at its
#    end: a failing row hook leaves the stream where it was.
# C. Weights are packed once, into a buffer that forks share. The loop addresses them like the rest of the workspace, by
#    their distance from its base (`lay_out`).
# D. Checking arguments dominates a step called from Python. A C-contiguous ndarray of the right dtype and shape is
#    recognised by its type, the identity of its dtype and one buffer request; everything else takes the slow path, which
#    checks, converts and raises.
# E. A call holds the stream (`hold`) from before it stores anything until it ends, however it ends.
# F. Other threads may run meanwhile only where the work is large in comparison (RELEASE).
# G. `inspect.signature` reads the first line of the docstring of a class; `__doc__` is without it.
"""
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_ND, PyBUF_WRITABLE, PyBuffer_Release
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from pylstm._core cimport forward_steps
from pylstm.engine.buffers cimport address, line_up
from pylstm.engine.hold cimport FREE_THREADED, let_go, raise_pending, refuse_held, was_held
from pylstm.engine.modifiers cimport until_reset
from pylstm.engine.line cimport LINE
from pylstm.engine.plan cimport Plan, core_t, pack
from pylstm.engine.table cimport span_t

import numpy as np

from pylstm.checks import check_array, check_names, check_reset, check_size, which_rows
from pylstm.engine import stream_arguments
from pylstm.engine.stream_arguments import check_out, check_rows, pack_states, refuse_call, unpack_states

cdef extern from "explained.h":
    void explain_with "pylstm_explain_with"(object method, object explain)
cdef extern from "Python.h":
    int look_at "PyObject_GetBuffer"(object array, Py_buffer *view, int flags) noexcept
    void PyErr_Clear() noexcept
    int PyErr_CheckSignals() noexcept
    void *PyErr_Occurred() noexcept

cdef enum:
    CHUNK_ROWS = 128
    CHUNK_BYTES = 16384        # of pre-activations: they stay in L1 until the loop reads them
    RELEASE = 1 << 18          # multiply-adds from which on other threads may run meanwhile: some microseconds
    BURST = 1 << 26            # multiply-adds between two looks at signals: some milliseconds
    ANY = -2                   # as many steps as there are
    STEP = -1                  # no axis of steps

cdef object ndarray = np.ndarray, empty = np.empty


cdef class Snapshot:
    """Snapshot(kind, states)\n--\n\n
    The states of a stream at one moment: what `Stream.snapshot` returns and `Stream.restore` takes. Can be pickled.
    """

    def __init__(self, tuple kind not None, bytes states not None):
        self.kind, self.states = kind, states

    def __reduce__(self):
        return Snapshot, (self.kind, self.states)


cdef class Stream:
    """Stream(layer, batch_size=1)\n--\n\n
    A layer that is fed step by step and keeps its states between calls: what ``layer.stream()`` returns.

    Outputs have the bits of a run over the whole sequence. A stream keeps the weights of its creation; `refresh` takes
    those that the layer has now. One thread at a time may use it.

    Parameters
    ----------
    layer : Recurrent
    batch_size : int
        Rows, each a sequence of its own.

    Attributes
    ----------
    layer : Recurrent
    batch_size : int
    state : dict of str to ndarray, shape (batch_size, width)
        Copies of the states; assign a dict to set them.

    Raises
    ------
    TypeError, ValueError
        `batch_size` is not an integer, or below 1.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer = pylstm.LSTM(3, 5, seed=0)
    >>> x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    >>> stream = layer.stream()
    >>> first = stream.step(x[0])
    >>> rest = stream.feed(x[1:])
    >>> bool(np.all(layer(x).y == np.vstack([first, rest])))
    True
    >>> {name: state.shape for name, state in stream.state.items()}
    {'h': (1, 5), 'c': (1, 5)}
    """

    def __init__(self, layer=..., batch_size=1, *more, **other):
        if layer is ... or more or other or not hasattr(layer, "_core"):
            stream_arguments.refuse_layer(layer)
        B = check_size("batch_size", batch_size)
        self.take_layer(layer, B)
        row = self.core.c.z_columns * self.core.c.itemsize
        self.layout = Plan(self.core, max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(row, 1)) // B), B, False, 0, 0, 1)
        self.plan = self.layout.p
        self.work = B * self.plan.packed_size
        self.take_memory()
        self.refresh()
        self.reset()

    cdef take_layer(self, layer, B):
        self.alone.size = 1
        self.layer, self.core, self.batch_size, self.dtype = layer, layer._core, B, np.dtype(layer.dtype.name)
        self.batch_first, self.width = layer.batch_first, layer.output_size
        self.row_shape, self.shape = (self.width,), (B, self.width)
        self.aux_names = tuple([name for name in layer.cell.contract.aux if name != "x"])
        states = sum([layer.widths[name] for name in layer.cell.contract.states])
        self.spare = bytearray(B * states * self.core.c.itemsize)
        widths = tuple([(name, layer.widths[name]) for name in layer.cell.contract.states])
        self.kind = (layer.cell.name, self.dtype.name, B, widths)

    cdef take_memory(self):
        """A workspace for all but the weights, which lie elsewhere."""
        self.span = span_t(team=&self.alone, number=0, own=True, first=0, steps=0, b0=0, rows=self.plan.B)
        self.buffer = empty(self.plan.nbytes - self.plan.inner, np.uint8)
        self.a.base = line_up(address(self.buffer, -1, False)) - self.plan.inner

    cdef lay_out(self, weights):
        """Address the packed weights in the buffer `weights` from the base of the workspace."""
        cdef Py_ssize_t distance = line_up(address(weights, -1, False)) - (self.a.base + min(
            self.plan.packed, min(self.plan.bias, self.plan.params)))
        self.plan.packed += distance
        self.plan.bias += distance
        self.plan.params += distance
        self.weights = weights

    def __call__(self, *more, **other): stream_arguments.not_callable(self)

    # --- steps -----------------------------------------------------------------------------------------------------

    def step(self, x_t=..., out=None, *, aux=None, reset=None):
        """One step.

        Parameters
        ----------
        x_t : array_like, shape (batch_size, input_size), or (input_size,) for one row
            Of the layer's dtype.
        out : ndarray, shape (batch_size, output_size), or (output_size,) for one row, optional
            Where the output goes: C-contiguous, of the layer's dtype. With it, a step allocates nothing.
        aux : dict of str to array_like, shape (batch_size, width), or (width,) for one row
            The cell's per-step inputs, if it has any.
        reset : array_like of bool, shape (batch_size,), or () for one row
            Where True, the row starts anew before the step, as by `reset`.

        Returns
        -------
        ndarray
            `out`, or a new array: the layer's output of this step.

        Raises
        ------
        TypeError
            A dtype other than the layer's; `out` is not an ndarray.
        ValueError
            A wrong shape or an unknown name; `out` is not contiguous or not writable.
        RuntimeError
            The stream is at work in another thread.
        """
        cdef Py_ssize_t steps = STEP
        cdef char *x
        cdef char *y
        cdef bint failed
        if FREE_THREADED or aux is not None or reset is not None or self.aux_names:
            return self.step_checked(x_t, out, aux, reset)
        if self.held:
            refuse_held()
        x = self.look(x_t, &steps, True, self.core.c.input_size, False)    # no Python code runs from here to `run`
        if x == NULL:
            return self.step_checked(x_t, out, aux, reset)
        if out is None:
            out = empty(self.row_shape if self.single else self.shape, self.dtype)
        y = self.look(out, &steps, False, self.width, True)
        if y == NULL:
            return self.step_checked(x_t, out, aux, reset)
        self.held = True
        failed = self.run(x, y, 1, NULL, NULL)
        self.held = False
        if failed:
            raise_pending()
        return out

    cdef step_checked(self, x_t, out, aux, reset):
        """A step whose arguments need Python to be checked or copied."""
        if x_t is ...:
            raise TypeError("step needs x_t, the input of one step: y = stream.step(x_t)")
        self.hold()
        try:
            x_t = self.bring("x_t", x_t, STEP, True, self.core.c.input_size)
            if out is None:
                out = empty(self.row_shape if self.single else self.shape, self.dtype)
            plain = check_out(out, self.shape_of(STEP, self.width), self.dtype)
            if aux is not None or self.aux_names:
                aux = self.take_aux(aux, STEP)
            self.run_checked(address(x_t, -1, False), address(plain, -1, False), 1,
                             None if reset is None else check_reset(reset, self.shape_of(STEP, 0)[:-1]))
            return out
        finally:
            let_go(&self.held)

    def feed(self, chunk=..., out=None, *, aux=None, reset=None):
        """Many steps in one call.

        Parameters
        ----------
        chunk : array_like, shape (T, batch_size, input_size), or (T, input_size) for one row
            (batch_size, T, input_size) if the layer is `batch_first`. Of the layer's dtype; T = 0 is legal.
        out : ndarray, shape (T, batch_size, output_size), or (T, output_size) for one row, optional
            Where the outputs go: C-contiguous, of the layer's dtype. With it, the call allocates nothing, unless the
            layer is `batch_first`.
        aux : dict of str to array_like, shape (T, batch_size, width), or (T, width) for one row
            The cell's per-step inputs, if it has any.
        reset : array_like of bool, shape (T, batch_size), or (T,) for one row
            Where True, the row starts anew before the step, as by `reset`; (batch_size, T) if the layer is
            `batch_first`.

        Returns
        -------
        ndarray
            `out`, or a new array: the layer's outputs.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As `step`. The states are then those before the call.
        """
        if chunk is ...:
            raise TypeError("feed needs chunk, the input of some steps: y = stream.feed(chunk)")
        self.hold()
        try:
            return self.feed_held(chunk, out, aux, reset)
        finally:
            let_go(&self.held)

    cdef feed_held(self, chunk, out, aux, reset):
        cdef Py_ssize_t T = ANY, row
        cdef char *x
        cdef char *y
        if self.batch_first and np.ndim(chunk) == 3:
            return self.feed_rows_first(chunk, out, aux, reset)
        x = self.look(chunk, &T, True, self.core.c.input_size, False)
        if x == NULL:
            chunk = self.bring("chunk", chunk, ANY, True, self.core.c.input_size)
            x, T = address(chunk, -1, False), len(chunk)
        if out is None:
            out = empty(self.shape_of(T, self.width), self.dtype)
        y = self.look(out, &T, False, self.width, True)
        if y == NULL:
            plain = check_out(out, self.shape_of(T, self.width), self.dtype)
            y = address(plain, -1, False)
        row = T * self.batch_size * self.core.c.itemsize
        if overlap(x, row * self.core.c.input_size, y, row * self.width):
            chunk = chunk.copy()
            x = address(chunk, -1, False)
        if aux is not None or self.aux_names:
            aux = self.take_aux(aux, T, out)
        self.run_checked(x, y, T, None if reset is None else check_reset(reset, self.shape_of(T, 0)[:-1]))
        return out

    cdef feed_rows_first(self, chunk, out, aux, reset):
        cdef Py_ssize_t B = self.batch_size
        steps = np.swapaxes(check_array("chunk", chunk, (B, "T", self.core.c.input_size), self.dtype), 0, 1)
        if aux:
            check_names("aux", aux, self.aux_names)
            aux = {name: np.swapaxes(array, 0, 1) for name, array in aux.items()}
        shape = (B, len(steps), self.width)
        if out is not None and not (isinstance(out, ndarray) and out.dtype == self.dtype and out.shape == shape):
            raise ValueError(f"out must be an array of {self.dtype}, shape {shape}")
        if out is not None and not out.flags.writeable:
            raise ValueError("out must be writable")
        steps, self.single = np.array(steps, self.dtype, order="C"), False
        y = empty((len(steps), B, self.width), self.dtype)
        if aux is not None or self.aux_names:
            aux = self.take_aux(aux, len(steps))
        self.run_checked(address(steps, -1, False), address(y, -1, False), len(steps),
                         None if reset is None else check_reset(reset, shape[:2]).T)
        y = np.swapaxes(y, 0, 1)
        if out is None:
            return y
        out[...] = y
        return out

    cdef int run_checked(self, const char *x, char *y, Py_ssize_t T, resets) except -1:
        """`run`; `resets` is None or an array of bytes (T, B) that says where rows start anew."""
        cdef const unsigned char *rows = NULL
        cdef bytes origin = b""
        if resets is not None:
            resets, origin = np.ascontiguousarray(resets), self.layer._first_states(1)
            rows = <const unsigned char *> address(resets, T * self.batch_size, False)
        return -1 if self.run(x, y, T, rows, PyBytes_AS_STRING(origin)) else 0

    cdef bint run(self, const char *x, char *y, Py_ssize_t T, const unsigned char *resets, const char *origin) noexcept:
        """T steps on from the state, which moves only if all went well; else an exception is pending. With `resets`, rows
        start from the states of a row `origin` where they are set."""
        cdef Py_ssize_t t = 0, last, burst
        cdef bint whole = T <= self.plan.T and resets == NULL, failed = False     # row 0 keeps the state of before
        if not whole:
            self.copy_states(PyByteArray_AS_STRING(self.spare), True)
        burst = max(1, BURST // (self.work * self.plan.T + 1)) * self.plan.T
        while t < T and not failed:
            last = min(T, t + burst)
            if (last - t) * self.work < RELEASE:
                self.run_burst(x, y, t, last, resets, origin)
            else:
                with nogil:
                    self.run_burst(x, y, t, last, resets, origin)
            t = last
            failed = PyErr_Occurred() != NULL or (not whole and PyErr_CheckSignals() != 0)
        if failed:
            self.row = 0
            if not whole:
                self.copy_states(PyByteArray_AS_STRING(self.spare), False)
        return failed

    cdef void run_burst(self, const char *x, char *y, Py_ssize_t t, Py_ssize_t last, const unsigned char *resets,
                        const char *origin) noexcept nogil:
        """Steps t .. last - 1 of a call."""
        cdef const core_t *core = self.plan.core
        cdef Py_ssize_t size = core.itemsize, row = self.width * self.plan.B * size, steps, rows
        cdef int k
        while t < last:
            steps = min(self.plan.T, last - t)
            self.carry_states()
            rows = t * self.plan.B
            if resets != NULL:
                self.start_rows(resets + rows, origin)
                steps = until_reset(resets, t, steps, self.plan.B)
            self.a.x = x + rows * core.input_size * size
            for k in range(core.aux.n):
                self.a.aux[k] = self.a.x if k == core.aux_x else self.aux[k] + rows * core.aux.width[k] * size
            self.span.steps = steps
            if size == 4:
                forward_steps(&self.plan, &self.a, &self.span, <float *> NULL)
            else:
                forward_steps(&self.plan, &self.a, &self.span, <double *> NULL)
            self.row = steps
            memcpy(y + t * row, self.a.base + self.plan.states[core.output] + row, steps * row)
            t += steps

    cdef inline void carry_states(self) noexcept nogil:
        """The state of the stream to row 0."""
        cdef Py_ssize_t n
        cdef char *states
        cdef int k
        if self.row > 0:
            for k in range(self.plan.core.states.n):
                n = self.plan.B * self.plan.core.states.width[k] * self.plan.core.itemsize
                states = self.a.base + self.plan.states[k]
                memcpy(states, states + self.row * n, n)
            self.row = 0

    cdef void start_rows(self, const unsigned char *rows, const char *origin) noexcept nogil:
        """The states of the rows for which the byte is set: those of a row that starts."""
        cdef Py_ssize_t n, b, B = self.plan.B
        cdef char *states
        cdef int k
        for k in range(self.plan.core.states.n):
            n = self.plan.core.states.width[k] * self.plan.core.itemsize
            states = self.a.base + self.plan.states[k] + self.row * B * n
            for b in range(B):
                if rows[b]:
                    memcpy(states + b * n, origin, n)
            origin += n

    cdef int hold(self) except -1:
        """The stream is this call's until `let_go`."""
        return refuse_held() if was_held(&self.held) else 0

    # --- states ----------------------------------------------------------------------------------------------------

    @property
    def state(self):
        """Name -> copy of the state, (batch_size, width). Assign a dict of all states to set them."""
        return unpack_states(self.layer, self.batch_size, self.snapshot().states)

    @state.setter
    def state(self, values):
        self.put_states(pack_states(self.layer, self.batch_size, values))

    @state.deleter
    def state(self):
        raise AttributeError("state cannot be deleted: stream.reset() starts all rows anew")

    def reset(self, rows=None):
        """Start rows anew: their states are 0, or the initial states that the layer has learned, as it has them now.

        Parameters
        ----------
        rows : int, array_like of int, or array_like of bool of shape (batch_size,), optional
            Which rows; all without.

        Raises
        ------
        TypeError, ValueError
            Rows that the stream does not have; a mask of another shape; neither integers nor bool.

        Examples
        --------
        >>> import numpy as np, pylstm
        >>> stream = pylstm.LSTM(3, 5, seed=0).stream(batch_size=3)
        >>> y = stream.step(np.ones((3, 3), "float32"))
        >>> stream.reset(rows=[0, 2])
        >>> stream.state["h"].any(axis=1)
        array([False,  True, False])
        """
        cdef bytes origin = self.layer._first_states(1)
        chosen = which_rows(rows, self.batch_size)
        self.hold()
        self.start_rows(<const unsigned char *> address(chosen, self.batch_size, False), PyBytes_AS_STRING(origin))
        let_go(&self.held)

    def snapshot(self, *more, **other):
        """The states as they are now, for `restore`.

        Returns
        -------
        Snapshot
            Of this stream or any other of the same cell, sizes, dtype and number of rows. Can be pickled.
        """
        if more or other: refuse_call(Stream.snapshot, (self, *more), other)
        states = PyBytes_FromStringAndSize(NULL, len(self.spare))
        self.hold()
        self.copy_states(PyBytes_AS_STRING(states), True)
        let_go(&self.held)
        return Snapshot(self.kind, states)

    def restore(self, snapshot=..., *more, **other):
        """Set the states to those of a snapshot.

        Raises
        ------
        TypeError
            `snapshot` is not a `Snapshot`.
        ValueError
            It is one of another cell, other sizes, another dtype or number of rows.
        """
        if snapshot is ... or more or other: refuse_call(Stream.restore, (self, snapshot, *more), other)
        if not isinstance(snapshot, Snapshot):
            raise TypeError(
                f"restore takes a Snapshot, which is what stream.snapshot() returns, got {type(snapshot).__name__}")
        cdef bytes states = (<Snapshot> snapshot).states
        if snapshot.kind != self.kind or len(states) != len(self.spare):
            raise ValueError(f"this snapshot is one of {snapshot.kind}, the stream is {self.kind}")
        self.put_states(states)

    cdef put_states(self, bytes states):
        self.hold()
        self.row = 0
        self.copy_states(PyBytes_AS_STRING(states), False)
        let_go(&self.held)

    cdef void copy_states(self, char *states, bint out) noexcept:
        """All states, one after the other, to (`out`) or from `states`."""
        cdef const core_t *core = self.plan.core
        cdef Py_ssize_t n
        cdef char *here
        cdef int k
        for k in range(core.states.n):
            n = self.plan.B * core.states.width[k] * core.itemsize
            here = self.a.base + self.plan.states[k] + self.row * n
            if out:
                memcpy(states, here, n)
            else:
                memcpy(here, states, n)
            states += n

    # --- the stream as a whole -------------------------------------------------------------------------------------

    def refresh(self, *more, **other):
        """Take the weights that the layer has now; the states stay. Forks keep theirs."""
        if more or other: refuse_call(Stream.refresh, (self, *more), other)
        flat, weights = self.layer.loop_weights(), empty(self.plan.inner + LINE, np.uint8)
        start = address(flat, self.core.c.n_parameters * self.core.c.itemsize, False)
        self.hold()
        try:
            self.lay_out(weights)
            pack(&self.plan, self.a.base, start, 0)
        finally:
            let_go(&self.held)

    def fork(self, *more, **other):
        """A stream of its own at the same states, on the same packed weights.

        Returns
        -------
        Stream
        """
        if more or other: refuse_call(Stream.fork, (self, *more), other)
        cdef Stream new
        self.hold()
        try:
            new = Stream.__new__(Stream)
            new.layer, new.core, new.layout, new.plan = self.layer, self.core, self.layout, self.plan
            new.alone = self.alone
            new.batch_size, new.batch_first, new.dtype, new.width = self.batch_size, self.batch_first, self.dtype, self.width
            new.shape, new.row_shape, new.aux_names, new.kind = self.shape, self.row_shape, self.aux_names, self.kind
            new.work, new.spare = self.work, bytearray(self.spare)
            new.take_memory()
            new.lay_out(self.weights)
            self.copy_states(PyByteArray_AS_STRING(new.spare), True)
            new.copy_states(PyByteArray_AS_STRING(new.spare), False)
        finally:
            let_go(&self.held)
        return new

    def __reduce__(self):
        raise TypeError("a stream cannot be pickled or copied: use fork() in this process; "
                        "elsewhere make one from the layer, layer.stream(), and restore() a snapshot()")

    def __repr__(self):
        return f"Stream({self.layer!r}, batch_size={self.batch_size})"

    # --- arguments -------------------------------------------------------------------------------------------------

    cdef char *look(self, array, Py_ssize_t *T, bint first, Py_ssize_t width, bint writable) noexcept:
        """Address of an array that is just as it must be, NULL for any other.

        The `first` array of a call settles its number of steps T, if that is ANY, and whether there is an axis of rows.
        """
        cdef Py_buffer view
        cdef char *start = NULL
        cdef int rows_axis
        cdef bint fits
        if type(array) is not ndarray or array.dtype is not self.dtype:
            return NULL
        if look_at(array, &view, PyBUF_ND | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0)) < 0:
            PyErr_Clear()
            return NULL
        rows_axis = view.ndim - 1 - (T[0] != STEP)
        fits = rows_axis == 1 or rows_axis == 0 and self.batch_size == 1 if first else rows_axis == (not self.single)
        fits = fits and view.shape[view.ndim - 1] == width
        fits = fits and (rows_axis == 0 or view.shape[view.ndim - 2] == self.batch_size)
        if fits and (T[0] < 0 or view.shape[0] == T[0]):
            start = <char *> view.buf
            if first:
                self.single = rows_axis == 0
            if T[0] == ANY:
                T[0] = view.shape[0]
        PyBuffer_Release(&view)
        return start

    cdef tuple shape_of(self, Py_ssize_t T, Py_ssize_t width):
        """Shape of an array of this call."""
        steps = () if T == STEP else ("T",) if T == ANY else (T,)
        return (*steps, width) if self.single else (*steps, self.batch_size, width)

    cdef bring(self, name, value, Py_ssize_t T, bint first, Py_ssize_t width):
        """`value` as an array that is just as it must be, a copy if need be."""
        if first:
            self.single = self.batch_size == 1 and np.ndim(value) == 1 + (T != STEP)
            if T == STEP:
                check_rows(value, self.batch_size, width)
        return np.ascontiguousarray(check_array(name, value, self.shape_of(T, width), self.dtype), self.dtype)

    cdef take_aux(self, aux, Py_ssize_t T, out=None):
        """The per-step inputs, whose addresses go to `self.aux`; to be kept alive until the steps are done."""
        cdef int k
        aux = {} if aux is None else aux
        check_names("aux", aux, self.aux_names)
        arrays = []
        for k, name in enumerate(self.layer.cell.contract.aux):
            if k == self.core.c.aux_x:
                continue
            width = self.core.c.aux.width[k]
            if aux.get(name) is None:
                raise ValueError(f"cell {self.layer.cell.name!r} needs aux[{name!r}] at every step: "
                                 f"shape {self.shape_of(T, width)}")
            array = self.bring(f"aux[{name!r}]", aux[name], T, False, width)
            self.layer.cell.contract.check_aux(name, array)
            if out is not None and np.may_share_memory(array, out):
                array = array.copy()
            self.aux[k] = address(array, -1, False)
            arrays.append(array)
        return arrays


cdef inline bint overlap(const char *x, Py_ssize_t x_bytes, const char *y, Py_ssize_t y_bytes) noexcept:
    return x < y + y_bytes and y < x + x_bytes


stream_arguments.show(Stream)
for _method in (Stream.step, Stream.feed, Stream.reset): explain_with(_method, stream_arguments.explain_call)
