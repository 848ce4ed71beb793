"""The threads of the process that passes borrow: `run_team` gives every thread of a team its part of a pass.

A worker serves for ever, without the interpreter: it spins for its next pass, then sleeps. It is started when first
needed, and anew after a fork. Nothing here runs Python code between the moment at which workers are taken and that at
which they are back: signal handlers have no chance to lose one.
"""
from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
    PyThread_type_lock)

from pylstm.engine.hold cimport raise_pending

import os
from _thread import start_new_thread

cdef extern from "Python.h":
    void *PyErr_Occurred() noexcept

idle = []
"""Workers that no team has. Taken from and added to by single operations of a list, which threads do not tear apart."""


cdef class Worker:
    """A thread's side of a team. What a pass needs lies in the frame of the caller, who waits for all that have begun."""
    cdef mailbox_t box
    cdef place_t place
    cdef int thread                        # its number in the system
    cdef PyThread_type_lock asleep         # held but for the moment of waking

    def __cinit__(self):
        self.asleep = PyThread_allocate_lock()
        if self.asleep == NULL:
            raise MemoryError("no lock for a thread")
        PyThread_acquire_lock(self.asleep, NOWAIT_LOCK)
        self.box.done = True

    def __dealloc__(self):
        if self.asleep != NULL:
            PyThread_free_lock(self.asleep)

    def serve(self):
        """The thread itself."""
        cdef mailbox_t job
        self.thread = thread_number()
        with nogil:
            while True:
                while take(&self.box, &job):
                    job.work(job.plan, job.arrays, job.team, job.number, job.back)
                    finish(&self.box)
                if lie_down(&self.box):
                    PyThread_acquire_lock(self.asleep, WAIT_LOCK)
                    come_back(&self.place)

    cdef void call(self, work_t work, const void *plan, const void *arrays, team_t *team, int number, bint back):
        self.box.work, self.box.plan, self.box.arrays, self.box.team = work, plan, arrays, team
        self.box.number, self.box.back = number, back
        if post(&self.box):
            if self.thread:
                keep_away(&self.place, self.thread)
            PyThread_release_lock(self.asleep)


cdef crowd_t crowd                              # of the whole process


cdef bint others_work():
    return crowded(&crowd)


cdef int run_team(work_t work, const void *plan, const void *arrays, int size, int shared, bint back) except -1:
    """A pass on `size` threads, this one among them; raises what a Python row hook or a signal handler left behind.

    Raises
    ------
    RuntimeError
        The system has no more threads; nothing has been done.
    """
    cdef team_t team
    cdef lanes_t lanes
    cdef Worker worker
    cdef int number
    cdef bint alone = shared in (ROWS, UNITS) and crowded(&crowd)
    cdef list workers = reserve(size - 1) if size > 1 and not alone else []
    gather(&team, &lanes, &crowd, size, shared in (COLUMNS, UNITS), alone)
    try:
        for number in range(1, size if not alone else 1):
            worker = workers[number - 1]
            worker.call(work, plan, arrays, &team, number, back)
        with nogil:
            work(plan, arrays, &team, 0, back)
        if team.stop and PyErr_Occurred() != NULL:
            raise_pending()
    finally:                                   # with no exception pending: Cython holds it until the end of the block
        if size > 1 and not alone:
            for worker in workers:
                with nogil:
                    await_done(&worker.box)
            leave(&team)
            idle.extend(workers)
    return 0


cdef list reserve(int n):
    """n workers that no other team has."""
    cdef list workers = []
    try:
        while len(workers) < n:
            workers.append(take_idle())
    except BaseException:
        idle.extend(workers)
        raise
    return workers


cdef Worker take_idle():
    try:
        return idle.pop()                      # not asked before whether there is one: another thread may be faster
    except IndexError:
        return start()


cdef Worker start():
    worker = Worker()
    try:
        start_new_thread(worker.serve, ())
    except RuntimeError as error:
        raise RuntimeError(f"{error}: call pylstm.set_num_threads(1)") from None
    return worker


cdef void meet_often(const void *meetings, const void *arrays, team_t *team, int number, bint back) noexcept nogil:
    cdef Py_ssize_t phase = 0
    cdef int share = -1
    while phase < (<const Py_ssize_t *> meetings)[0]:
        while own_share(team, number, &phase, &share, True):
            pass


def meet_repeatedly(int threads, Py_ssize_t meetings):
    """A pass of so many phases in which there is nothing to do, for ``benchmarks/meetings.py``: 2 to 64 threads."""
    if not 2 <= threads <= 64:
        raise ValueError(f"threads must be 2 to 64, got {threads}")
    run_team(meet_often, &meetings, NULL, threads, UNITS, False)


def meet_late():
    """What a pass says whose thread waited too long for another: for tests."""
    cdef team_t team
    cdef lanes_t lanes
    gather(&team, &lanes, &crowd, 2, True, False)
    late(&team)


def give_way(bint yes):
    """Whether passes take one thread while somebody else works: for tests, which are not alone on the machine."""
    crowd.ignored = not yes


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: idle.clear())
