# Threads that run one pass together: what each of them does, and where they wait for each other.
cdef extern from *:
    """
    #include <sched.h>
    #if defined(__x86_64__)
    #define PYLSTM_PAUSE() __builtin_ia32_pause()
    #else
    #define PYLSTM_PAUSE()
    #endif
    typedef struct {
        int size;          /* threads */
        int columns;       /* they share the columns of every product (few rows), not the rows */
        int arrived, phase;
        int stop;          /* set by thread 0: an error or an interrupt */
    } pylstm_team;

    static inline void pylstm_pause(int *spins) {
        if (++*spins < 4000)
            PYLSTM_PAUSE();
        else
            sched_yield();
    }

    /* All threads of the team arrive before any goes on. Between two meetings the loop takes microseconds, so a thread
       spins first; on an oversubscribed machine it soon leaves the processor to the others. */
    static inline void pylstm_meet(pylstm_team *team) {
        int phase, spins = 0;
        if (team->size == 1)
            return;
        phase = __atomic_load_n(&team->phase, __ATOMIC_RELAXED);
        if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL) == team->size) {
            __atomic_store_n(&team->arrived, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&team->phase, phase + 1, __ATOMIC_RELEASE);
        } else {
            while (__atomic_load_n(&team->phase, __ATOMIC_ACQUIRE) == phase)
                pylstm_pause(&spins);
        }
    }

    /* Where a thread finds its next share. It spins for a while after each, since passes often follow one another
       closely, and then sleeps in Python until the one who posts wakes it. */
    typedef struct {
        int posted, done, sleeping, number, back;
        const void *plan, *arrays;
        pylstm_team *team;
    } pylstm_mailbox;

    #define PYLSTM_SPINS 20000             /* pauses: about 200 microseconds */

    static inline int pylstm_take(pylstm_mailbox *box, pylstm_mailbox *job) {
        int spins;
        for (spins = 0; spins < PYLSTM_SPINS; spins++) {
            if (__atomic_load_n(&box->posted, __ATOMIC_ACQUIRE)) {
                *job = *box;
                __atomic_store_n(&box->posted, 0, __ATOMIC_RELEASE);
                return 1;
            }
            PYLSTM_PAUSE();
        }
        return 0;
    }

    /* Whether it may sleep: nothing has been posted before it said so. */
    static inline int pylstm_lie_down(pylstm_mailbox *box) {
        __atomic_store_n(&box->sleeping, 1, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&box->posted, __ATOMIC_SEQ_CST))
            return 1;
        __atomic_store_n(&box->sleeping, 0, __ATOMIC_SEQ_CST);
        return 0;
    }

    /* The share is done: plan, arrays and team are not looked at any more. */
    static inline void pylstm_finish(pylstm_mailbox *box) {
        __atomic_store_n(&box->done, 1, __ATOMIC_RELEASE);
    }

    static inline void pylstm_await(pylstm_mailbox *box) {
        int spins = 0;
        while (!__atomic_load_n(&box->done, __ATOMIC_ACQUIRE))
            pylstm_pause(&spins);
    }

    /* Whether the thread must be woken. */
    static inline int pylstm_post(pylstm_mailbox *box) {
        __atomic_store_n(&box->done, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&box->posted, 1, __ATOMIC_SEQ_CST);
        return __atomic_exchange_n(&box->sleeping, 0, __ATOMIC_SEQ_CST);
    }
    """
    ctypedef struct team_t "pylstm_team":
        int size
        bint columns
        int stop
    void meet "pylstm_meet"(team_t *team) noexcept nogil

    ctypedef struct mailbox_t "pylstm_mailbox":
        int number
        bint back
        const void *plan
        const void *arrays
        team_t *team
    bint take "pylstm_take"(mailbox_t *box, mailbox_t *job) noexcept nogil
    bint lie_down "pylstm_lie_down"(mailbox_t *box) noexcept nogil
    bint post "pylstm_post"(mailbox_t *box) noexcept nogil
    void finish "pylstm_finish"(mailbox_t *box) noexcept nogil
    void await_done "pylstm_await"(mailbox_t *box) noexcept nogil


cdef inline Py_ssize_t part(Py_ssize_t n, Py_ssize_t grain, int member, int size) noexcept nogil:
    """Where the share of thread `member` starts, of n things handed out in multiples of `grain`."""
    cdef Py_ssize_t start = (n + grain - 1) // grain * member // size * grain
    return start if start < n else n
