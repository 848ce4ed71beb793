# One call at a time: an object that two threads share, or a call from within a call, is refused before anything is stored.
cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define PYLSTM_FREE_THREADED 1
    #else
    #define PYLSTM_FREE_THREADED 0
    #endif
    static inline int pylstm_hold(int *held) { return __atomic_exchange_n(held, 1, __ATOMIC_ACQUIRE); }
    static inline void pylstm_let_go(int *held) { __atomic_store_n(held, 0, __ATOMIC_RELEASE); }
    """
    bint FREE_THREADED "PYLSTM_FREE_THREADED"
    bint was_held "pylstm_hold"(int *held) noexcept nogil
    void let_go "pylstm_let_go"(int *held) noexcept nogil


cdef inline int refuse_held() except -1:
    raise RuntimeError("this stream is at work in another thread: give every thread a fork() of its own")


cdef inline int raise_pending() except -1:
    """Hand on the exception that is pending."""
    return -1
