# Threads that run one pass together: what each of them does, and where they wait for each other. The threads themselves
# are in team.pyx.
cdef extern from *:
    """
    #include <sched.h>
    #include <stddef.h>
    #include <string.h>
    #if defined(__x86_64__)
    #define PYLSTM_PAUSE() __builtin_ia32_pause()
    #else
    #define PYLSTM_PAUSE()
    #endif
    #define PYLSTM_MAX_TEAM 64
    #define PYLSTM_PATIENCE 4      /* pauses before a thread takes another's share */
    typedef struct {
        ptrdiff_t begun, done;     /* phases; a cache line of its own */
        char gap[64 - 2 * sizeof(ptrdiff_t)];
    } pylstm_lane;
    typedef struct {
        pylstm_lane of[PYLSTM_MAX_TEAM] __attribute__((aligned(64)));
    } pylstm_lanes;
    typedef struct {
        int size;          /* threads */
        int columns;       /* they share the columns of every product (few rows), not the rows */
        int arrived, phase;
        ptrdiff_t begun, done; /* shares, counted over all phases */
        int stop;          /* set by thread 0: an error or an interrupt */
        pylstm_lane *lanes;    /* of each share, see own_share; not in here, since a stream has a team of its own */
    } pylstm_team;
    _Static_assert(_Alignof(pylstm_team) <= _Alignof(max_align_t), "a stream is a Python object, and has one");

    static inline void pylstm_gather(pylstm_team *team, pylstm_lanes *lanes, int size, int columns) {
        memset(team, 0, sizeof(*team));
        memset(lanes, 0, columns ? size * sizeof(pylstm_lane) : 0);
        team->size = size;
        team->columns = columns;
        team->lanes = lanes->of;
    }

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

    /* A phase of a pass has as many shares as the team has threads. A thread takes one that nobody has begun, then the
       next; when none is left it waits until all are done. So a thread that has no processor at the moment keeps nobody
       waiting, unless it is in the middle of a share: with a busy second processor, a pass that would wait for
       every thread in every phase took ten times as long. `share` is the one that this thread has done, -1 at first. */
    static inline int pylstm_next_share(pylstm_team *team, ptrdiff_t *phase, int *share) {
        const ptrdiff_t first = *phase * team->size, last = first + team->size;
        ptrdiff_t next;
        int spins = 0;
        if (team->size == 1) {
            *share = *share < 0 ? 0 : -1;
            return *share == 0;
        }
        if (*share >= 0)
            __atomic_add_fetch(&team->done, 1, __ATOMIC_ACQ_REL);
        next = __atomic_load_n(&team->begun, __ATOMIC_RELAXED);
        while (next < last && !__atomic_load_n(&team->stop, __ATOMIC_RELAXED))
            if (__atomic_compare_exchange_n(&team->begun, &next, next + 1, 1, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
                *share = (int)(next - first);
                return 1;
            }
        while (__atomic_load_n(&team->done, __ATOMIC_ACQUIRE) < last && !__atomic_load_n(&team->stop, __ATOMIC_RELAXED))
            pylstm_pause(&spins);
        *share = -1;
        ++*phase;
        return 0;
    }

    /* The same for phases of a microsecond: share k is thread k's, whose caches have its weights. A thread says on the
       share's own cache line that it begins and that it has done; it begins another's only when its own is done and the
       other has not begun, because it sleeps, or has no processor. A meeting of two threads takes the time in which a
       cache line goes from one to the other: 30 to 60 ns within one part of the third cache, 180 to 290 between two
       (Zen 4; a virtual machine has now this, now that). */
    static inline int pylstm_own_share(pylstm_team *team, int number, ptrdiff_t *phase, int *share) {
        pylstm_lane *lane;
        ptrdiff_t expected;
        int k, waiting, spins = 0;
        if (team->size == 1) {
            *share = *share < 0 ? 0 : -1;
            return *share == 0;
        }
        if (*share >= 0)
            __atomic_store_n(&team->lanes[*share].done, *phase + 1, __ATOMIC_RELEASE);
        k = number;
        do {
            waiting = 0;
            do {
                lane = &team->lanes[k];
                if (__atomic_load_n(&lane->done, __ATOMIC_ACQUIRE) <= *phase) {
                    waiting = 1;
                    expected = *phase;
                    if ((k == number || spins >= PYLSTM_PATIENCE) &&
                        __atomic_load_n(&lane->begun, __ATOMIC_RELAXED) == expected &&
                        __atomic_compare_exchange_n(&lane->begun, &expected, expected + 1, 0, __ATOMIC_ACQ_REL,
                                                    __ATOMIC_RELAXED)) {
                        *share = k;
                        return 1;
                    }
                }
                k = k + 1 == team->size ? 0 : k + 1;
            } while (k != number);
            if (waiting)
                pylstm_pause(&spins);
        } while (waiting && !__atomic_load_n(&team->stop, __ATOMIC_RELAXED));
        *share = -1;
        ++*phase;
        return 0;
    }

    /* Where a thread finds its next pass. It spins for a while after each, since passes often follow one another
       closely, and then sleeps until the one who posts wakes it. */
    typedef void (*pylstm_work)(const void *plan, const void *arrays, pylstm_team *team, int number, int back);

    typedef struct {
        int posted, done, sleeping, number, back;
        pylstm_work work;
        const void *plan, *arrays;
        pylstm_team *team;
    } pylstm_mailbox;

    /* 5 microseconds on Zen 4, so that nobody else misses the processor. To be woken takes longer than to find a pass
       posted: a step of text (LSTM, B = 16, T = 64, H = 256) takes 13.2 ms with 200 pauses and 12.6 with 20000, passes of
       1 to 8 ms, 0.3 ms apart, 1.00 to 1.07 of the time (medians of six processes). To wait for 0.1 ms while a step of
       training is on made no difference to be told from noise. */
    #define PYLSTM_SPINS 200

    /* Either the thread takes what was posted, or the one who has posted it takes it back. */
    static inline int pylstm_unpost(pylstm_mailbox *box) {
        int posted = 1;
        return __atomic_compare_exchange_n(&box->posted, &posted, 0, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }

    static inline int pylstm_take(pylstm_mailbox *box, pylstm_mailbox *job) {
        int spins;
        for (spins = 0; spins < PYLSTM_SPINS; spins++) {
            if (__atomic_load_n(&box->posted, __ATOMIC_RELAXED) && pylstm_unpost(box)) {
                *job = *box;
                return 1;
            }
            PYLSTM_PAUSE();
        }
        return 0;
    }

    /* Whether it must sleep: nothing had been posted when it said so, or the one who posts has heard it and wakes it. */
    static inline int pylstm_lie_down(pylstm_mailbox *box) {
        __atomic_store_n(&box->sleeping, 1, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&box->posted, __ATOMIC_SEQ_CST))
            return 1;
        return !__atomic_exchange_n(&box->sleeping, 0, __ATOMIC_SEQ_CST);
    }

    /* The pass is done: plan, arrays and team are not looked at any more. */
    static inline void pylstm_finish(pylstm_mailbox *box) {
        __atomic_store_n(&box->done, 1, __ATOMIC_RELEASE);
    }

    static inline void pylstm_await(pylstm_mailbox *box) {
        int spins = 0;
        if (pylstm_unpost(box))
            return;                        /* all is done without this thread */
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
    ctypedef struct lanes_t "pylstm_lanes":
        pass
    void gather "pylstm_gather"(team_t *team, lanes_t *lanes, int size, bint columns) noexcept nogil
    bint next_share "pylstm_next_share"(team_t *team, Py_ssize_t *phase, int *share) noexcept nogil
    bint own_share "pylstm_own_share"(team_t *team, int number, Py_ssize_t *phase, int *share) noexcept nogil

    ctypedef void (*work_t "pylstm_work")(const void *plan, const void *arrays, team_t *team, int number,
                                          bint back) noexcept nogil

    ctypedef struct mailbox_t "pylstm_mailbox":
        bint done
        int number
        work_t work
        bint back
        const void *plan
        const void *arrays
        team_t *team
    bint take "pylstm_take"(mailbox_t *box, mailbox_t *job) noexcept nogil
    bint lie_down "pylstm_lie_down"(mailbox_t *box) noexcept nogil
    bint post "pylstm_post"(mailbox_t *box) noexcept nogil
    void finish "pylstm_finish"(mailbox_t *box) noexcept nogil
    void await_done "pylstm_await"(mailbox_t *box) noexcept nogil


cdef int run_team(work_t work, const void *plan, const void *arrays, int size, bint columns, bint back) except -1


cdef inline Py_ssize_t part(Py_ssize_t n, Py_ssize_t grain, int member, int size) noexcept nogil:
    """Where the share of thread `member` starts, of n things handed out in multiples of `grain`."""
    cdef Py_ssize_t start = (n + grain - 1) // grain * member // size * grain
    return start if start < n else n


cdef inline int threads_for(double work, double worth, int most) noexcept nogil:
    """How many threads share `work`, at most `most`, where so much is `worth` another one.

    A thread that sleeps is there after 50 microseconds: what is worth it takes 100 to 150 (Zen 4). With a quarter of that,
    passes of 100 to 300 took 1.05 to 1.3 times as long on two threads as on one, with it 0.6 to 1.0 times.
    """
    return <int> max(1, min(most, work / worth))
