# Threads that run one pass together: what each of them does, and where they wait for each other. The threads themselves
# are in team.pyx.
cdef extern from *:
    """
    #include <sched.h>
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>
    #include <time.h>
    #ifdef __linux__
    #include <sys/syscall.h>
    #include <unistd.h>
    #endif
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
        int64_t until, length, peace;  /* nanoseconds, see pylstm_late */
        int ignored;
    } pylstm_crowd;
    typedef struct {
        int size;          /* threads */
        int columns;       /* they share the columns of every product (few rows), not the rows */
        int arrived, phase;
        ptrdiff_t begun, done; /* shares, counted over all phases */
        int stop;          /* set by thread 0: an error or an interrupt */
        pylstm_lane *lanes;    /* of each share, see own_share; not in here, since a stream has a team of its own */
        pylstm_crowd *crowd;
        int64_t start;     /* nanoseconds */
        int alone;         /* thread 0 is all there is */
    } pylstm_team;
    _Static_assert(_Alignof(pylstm_team) <= _Alignof(max_align_t), "a stream is a Python object, and has one");

    static inline int64_t pylstm_now(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }

    /* Somebody else has taken the processor of a thread in the middle of a share: so long did another wait for it. For some
       milliseconds, twice as many each time it happens again, thread 0 does all shares of units by itself, and passes that
       begin take one thread. All of the process know it. Beside a process that never rests, LSTM of 32 to 128 units, B of 1
       to 4, passes of 4 to 8 ms, took 1.0 of the time of one thread (0.9 to 1.05), and 1.05 to 1.4 without this. */
    #define PYLSTM_LATE 400000         /* nanoseconds; a slice of the system's scheduler is 1 to 4 ms */
    #define PYLSTM_LATE_SHARE 1200000  /* where shares take long: who was woken begins later */
    #define PYLSTM_ALONE 4000000       /* nanoseconds, at first, */
    #define PYLSTM_LONG 256000000      /* and at most */
    #define PYLSTM_SOON 25000000       /* of work of teams since the last time: again */
    static inline void pylstm_late(pylstm_team *team) {
        pylstm_crowd *crowd = team->crowd;
        const int64_t now = pylstm_now();
        int64_t length = __atomic_load_n(&crowd->length, __ATOMIC_RELAXED);
        length = __atomic_load_n(&crowd->peace, __ATOMIC_RELAXED) + now - team->start < PYLSTM_SOON ? 2 * length : length / 4;
        length = length < PYLSTM_ALONE ? PYLSTM_ALONE : length > PYLSTM_LONG ? PYLSTM_LONG : length;
        __atomic_store_n(&crowd->length, length, __ATOMIC_RELAXED);
        __atomic_store_n(&crowd->until, now + length, __ATOMIC_RELAXED);
        __atomic_store_n(&crowd->peace, 0, __ATOMIC_RELAXED);
        team->start = now;
    }

    /* For who waits: `since` is 0 at first. */
    static inline void pylstm_watch(pylstm_team *team, int spins, int64_t *since, int64_t late) {
        int64_t now;
        if (spins < 4000)
            return;
        now = pylstm_now();
        if (*since == 0)
            *since = now;
        if (*since != INT64_MAX && now - *since > late) {
            pylstm_late(team);
            *since = INT64_MAX;            /* once */
        }
    }

    static inline void pylstm_leave(pylstm_team *team) {
        if (team->crowd && !team->alone)
            __atomic_add_fetch(&team->crowd->peace, pylstm_now() - team->start, __ATOMIC_RELAXED);
    }

    static inline int pylstm_crowded(pylstm_crowd *crowd) {
        if (crowd->ignored || __atomic_load_n(&crowd->until, __ATOMIC_RELAXED) == 0)
            return 0;
        if (pylstm_now() < __atomic_load_n(&crowd->until, __ATOMIC_RELAXED))
            return 1;
        __atomic_store_n(&crowd->until, 0, __ATOMIC_RELAXED);
        return 0;
    }

    static inline void pylstm_gather(pylstm_team *team, pylstm_lanes *lanes, pylstm_crowd *crowd, int size, int columns,
                                     int alone) {
        memset(team, 0, sizeof(*team));
        memset(lanes, 0, columns ? size * sizeof(pylstm_lane) : 0);
        team->size = size;
        team->columns = columns;
        team->lanes = lanes->of;
        team->crowd = crowd;
        team->alone = alone;
        team->start = pylstm_now();
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
        int64_t since = 0;
        if (team->size == 1)
            return;
        phase = __atomic_load_n(&team->phase, __ATOMIC_RELAXED);
        if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL) == team->size) {
            __atomic_store_n(&team->arrived, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&team->phase, phase + 1, __ATOMIC_RELEASE);
        } else {
            while (__atomic_load_n(&team->phase, __ATOMIC_ACQUIRE) == phase) {
                pylstm_pause(&spins);
                pylstm_watch(team, spins, &since, PYLSTM_LATE);
            }
        }
    }

    /* A phase of a pass has as many shares as the team has threads. A thread takes one that nobody has begun, then the
       next; when none is left it waits until all are done. So a thread that has no processor at the moment keeps nobody
       waiting, unless it is in the middle of a share: with a busy second processor, a pass that would wait for
       every thread in every phase took ten times as long. `share` is the one that this thread has done, -1 at first. */
    static inline int pylstm_next_share(pylstm_team *team, ptrdiff_t *phase, int *share) {
        const ptrdiff_t first = *phase * team->size, last = first + team->size;
        ptrdiff_t next;
        int64_t since = 0;
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
        while (__atomic_load_n(&team->done, __ATOMIC_ACQUIRE) < last && !__atomic_load_n(&team->stop, __ATOMIC_RELAXED)) {
            pylstm_pause(&spins);
            pylstm_watch(team, spins, &since, PYLSTM_LATE_SHARE);
        }
        *share = -1;
        ++*phase;
        return 0;
    }

    /* The same for phases of a microsecond (`brief`; others are longer): share k is thread k's, whose caches have its
       weights. A thread says on the share's own cache line that it begins and that it has done; it begins another's only
       when its own is done and the other has not begun, because it sleeps, or has no processor. A meeting of two threads
       takes the time in which a cache line goes from one to the other: 30 to 60 ns within one part of the third cache,
       180 to 290 between two (Zen 4; a virtual machine has now this, now that). */
    static inline int pylstm_own_share(pylstm_team *team, int number, ptrdiff_t *phase, int *share, int brief) {
        pylstm_lane *lane;
        ptrdiff_t expected;
        const struct timespec nap = {0, 50000};
        int64_t since = 0;
        int k, waiting, alone, spins = 0;
        if (team->size == 1) {
            *share = *share < 0 ? 0 : -1;
            return *share == 0;
        }
        if (*share >= 0)
            __atomic_store_n(&team->lanes[*share].done, *phase + 1, __ATOMIC_RELEASE);
        alone = team->alone || pylstm_crowded(team->crowd);
        k = number;
        do {
            waiting = 0;
            do {
                lane = &team->lanes[k];
                if (__atomic_load_n(&lane->done, __ATOMIC_ACQUIRE) <= *phase) {
                    waiting = 1;
                    expected = *phase;
                    if ((alone ? number == 0 : k == number || spins >= PYLSTM_PATIENCE) &&
                        __atomic_load_n(&lane->begun, __ATOMIC_RELAXED) == expected &&
                        __atomic_compare_exchange_n(&lane->begun, &expected, expected + 1, 0, __ATOMIC_ACQ_REL,
                                                    __ATOMIC_RELAXED)) {
                        *share = k;
                        return 1;
                    }
                }
                k = k + 1 == team->size ? 0 : k + 1;
            } while (k != number);
            if (waiting && alone && number) {
                nanosleep(&nap, NULL);
                alone = pylstm_crowded(team->crowd);
            } else if (waiting) {
                pylstm_pause(&spins);
                pylstm_watch(team, spins, &since, brief ? PYLSTM_LATE : PYLSTM_LATE_SHARE);
            }
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

    /* A thread that slept is often put on the processor of the one who wakes it, and gets its turn after milliseconds:
       passes of 8 ms, 30 ms apart, took as long on two threads as on one, and 0.67 of it when that processor was left
       out of those it may use. It takes it back itself when it is awake. */
    #ifdef __linux__
    typedef struct {
        pid_t thread;      /* 0: nothing to be taken back */
        cpu_set_t all;
    } pylstm_place;
    static inline void pylstm_keep_away(pylstm_place *place, pid_t thread) {
        cpu_set_t other;
        int here = sched_getcpu();
        if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(thread, sizeof(place->all), &place->all))
            return;
        other = place->all;
        CPU_CLR(here, &other);
        if (CPU_COUNT(&other) && !sched_setaffinity(thread, sizeof(other), &other))
            place->thread = thread;
    }
    static inline void pylstm_come_back(pylstm_place *place) {
        if (place->thread)
            sched_setaffinity(0, sizeof(place->all), &place->all);
        place->thread = 0;
    }
    static inline pid_t pylstm_self(void) { return (pid_t)syscall(SYS_gettid); }
    #else
    typedef struct {
        int thread;
    } pylstm_place;
    static inline void pylstm_keep_away(pylstm_place *place, int thread) {}
    static inline void pylstm_come_back(pylstm_place *place) {}
    static inline int pylstm_self(void) { return 0; }
    #endif

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
    ctypedef struct crowd_t "pylstm_crowd":
        bint ignored
    void gather "pylstm_gather"(team_t *team, lanes_t *lanes, crowd_t *crowd, int size, bint columns, bint alone) noexcept nogil
    void late "pylstm_late"(team_t *team) noexcept nogil
    void leave "pylstm_leave"(team_t *team) noexcept nogil
    bint crowded "pylstm_crowded"(crowd_t *crowd) noexcept nogil
    bint next_share "pylstm_next_share"(team_t *team, Py_ssize_t *phase, int *share) noexcept nogil
    bint own_share "pylstm_own_share"(team_t *team, int number, Py_ssize_t *phase, int *share, bint brief) noexcept nogil

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
    ctypedef struct place_t "pylstm_place":
        pass
    void keep_away "pylstm_keep_away"(place_t *place, int thread) noexcept nogil
    void come_back "pylstm_come_back"(place_t *place) noexcept nogil
    int thread_number "pylstm_self"() noexcept nogil
    bint post "pylstm_post"(mailbox_t *box) noexcept nogil
    void finish "pylstm_finish"(mailbox_t *box) noexcept nogil
    void await_done "pylstm_await"(mailbox_t *box) noexcept nogil


cdef enum:                     # what the threads of a team share
    ROWS = 0
    COLUMNS = 1
    UNITS = 2
    ROWS_LONG = 3              # rows of a pass so long that part of a processor is worth its while

cdef bint others_work()        # that somebody else has had a processor just now

cdef int run_team(work_t work, const void *plan, const void *arrays, int size, int shared, bint back) except -1


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
