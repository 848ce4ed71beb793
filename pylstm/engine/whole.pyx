"""`Whole`: the streams of a stack as one, which a call moves together or, if it fails, not at all. `count_in`."""
from cpython.bytearray cimport PyByteArray_AS_STRING

from libc.stdint cimport int64_t

from pylstm.engine.buffers cimport address
from pylstm.engine.hold cimport let_go, refuse_held, was_held
from pylstm.engine.stream cimport Stream


def count_in(Stream stream not None, counts):
    """Count the gates of a stream, from now on, in `counts`, which has `ends`, `held` and `found` as the time loop takes them."""
    cdef Py_ssize_t columns = stream.core.c.z_columns
    stream.a.ends = address(counts.ends, 2 * columns * stream.core.c.itemsize, False)
    stream.a.held = address(counts.held, 2 * columns * stream.core.c.itemsize, True)
    stream.a.counts = <int64_t *> address(counts.found, (2 * columns + 1) * sizeof(int64_t), True)
    stream.counted = counts


cdef class Whole:
    """A `with` block, one at a time: if it fails, or is interrupted, all streams have the states and weights of before.

    Nothing here runs Python code, so that Ctrl-C comes before or after.

    Parameters
    ----------
    streams : list of Stream

    Raises
    ------
    RuntimeError
        On entry: the block, or one of the streams, is at work in another thread.
    """
    cdef list streams, weights
    cdef bytearray before                  # the states of all streams, one after the other
    cdef int held

    def __init__(self, list streams not None):
        self.streams, self.weights = streams, [None] * len(streams)
        self.before = bytearray(sum([len((<Stream?> stream).spare) for stream in streams]))

    def __enter__(self):
        cdef Stream stream
        cdef char *to = PyByteArray_AS_STRING(self.before)
        cdef Py_ssize_t k
        if was_held(&self.held):
            refuse_held()
        try:
            for k in range(len(self.weights)):
                stream = self.streams[k]
                stream.hold()
                stream.copy_states(to, True)
                self.weights[k] = stream.weights
                let_go(&stream.held)
                to += len(stream.spare)
        except BaseException:
            let_go(&self.held)
            raise

    def __exit__(self, kind, error, traceback):
        if kind is not None:
            self.go_back()
        let_go(&self.held)

    cdef go_back(self):
        cdef Stream stream
        cdef char *states = PyByteArray_AS_STRING(self.before)
        cdef Py_ssize_t k
        for k in range(len(self.weights)):
            stream = self.streams[k]
            if not was_held(&stream.held):     # else by a thread that uses this layer without the stack
                stream.row = 0
                stream.copy_states(states, False)
                if stream.weights is not self.weights[k]:
                    stream.lay_out(self.weights[k])
                let_go(&stream.held)
            states += len(stream.spare)
