"""CTC of single rows: see `pylstm/losses/ctc.py`. Equations of Graves et al. (2006), in logarithms and in double.

The states s = 0..2L of a row of L labels are l' of the paper: the blank, label 1, the blank, ..., label L, the blank.
alpha_t(s) is the probability of all ways to be in s after t steps. Logarithms, because a state that the rest of the row
needs may be less probable than another by any factor. alpha_0 is 1 in a state before the first, and 0 elsewhere.

gamma_t(s) = alpha_t(s) beta_t(s) / (y_t(s) p) of the paper, the share of s in p, comes from gamma_t+1 by the derivative
of the line of alpha, without beta: with factors in 0..1 of sum 1, so that gamma_t sums to 1 after any number of steps.
"""
from libc.math cimport HUGE_VAL as INF, NAN

from pylstm._math cimport exp, floating, log

cdef enum:
    BEFORE = 2      # states before the first, for those that look two states back


cdef void log_softmax(
        Py_ssize_t V, const floating *restrict z, double *restrict y, double *restrict e, floating *restrict p) noexcept nogil:
    """p = softmax(z), y = log p; `e` is room for V numbers."""
    cdef Py_ssize_t k
    cdef double largest, total = 0, log_total
    for k in range(V): y[k] = <double> z[k]
    largest = y[0]
    for k in range(1, V):
        if y[k] > largest: largest = y[k]
    for k in range(V): y[k] -= largest
    for k in range(V): e[k] = exp(y[k])
    for k in range(V): total += e[k]
    log_total = log(total)
    for k in range(V): y[k] -= log_total
    for k in range(V): p[k] = <floating> (e[k] / total)


cdef inline double largest(double a, double b, double c) noexcept nogil:
    """What to take off before exp: 0 where all are -inf."""
    cdef double m = a if a > b else b
    m = m if m > c else c
    return 0.0 if m == -INF else m


cdef void forward_step(
        Py_ssize_t n, const double *restrict prev, const double *restrict may_skip, const double *restrict y,
        double *restrict alpha) noexcept nogil:
    """alpha_t(s) = y_t(s) (alpha_t-1(s) + alpha_t-1(s-1) + [s-1 may be skipped] alpha_t-1(s-2))       eq. 6, 7"""
    cdef Py_ssize_t s
    cdef double stay, step, skip, m
    for s in range(n):
        stay, step, skip = prev[s], prev[s - 1], prev[s - 2] + may_skip[s]
        m = largest(stay, step, skip)
        alpha[s] = y[s] + (m + log(exp(stay - m) + exp(step - m) + exp(skip - m)))


cdef void backward_step(
        Py_ssize_t n, const double *restrict prev, const double *restrict may_skip, double *restrict gamma,
        double *restrict stepped, double *restrict skipped) noexcept nogil:
    """gamma_t-1 in place of gamma_t: a share goes to where it came from, in proportion to the terms of eq. 6, 7"""
    cdef Py_ssize_t s
    cdef double stay, step, skip, m, total, share
    for s in range(n):
        stay, step, skip = prev[s], prev[s - 1], prev[s - 2] + may_skip[s]
        m = largest(stay, step, skip)
        stay, step, skip = exp(stay - m), exp(step - m), exp(skip - m)
        total = stay + step + skip
        share = gamma[s] / (1.0 if total == 0 else total)       # gamma is 0 where nothing leads to s
        gamma[s] = share * stay
        stepped[s] = share * step
        skipped[s] = share * skip
    for s in range(n - 1): gamma[s] += stepped[s + 1]
    for s in range(n - 2): gamma[s] += skipped[s + 2]


cdef double row(
        Py_ssize_t T, Py_ssize_t stride, Py_ssize_t V, Py_ssize_t L, Py_ssize_t blank, const Py_ssize_t *target,
        const floating *z, floating *dz, double *room) noexcept nogil:
    """-log p(target | z), and its gradient `dz`; steps are `stride` numbers apart in both."""
    cdef Py_ssize_t t, s, k, n = 2 * L + 1, width = n + BEFORE
    cdef double *y = room
    cdef double *e = y + V
    cdef double *of_state = e + V           # y of the states
    cdef double *may_skip = of_state + n    # log 1 or log 0
    cdef double *stepped = may_skip + n
    cdef double *skipped = stepped + n
    cdef double *gamma = skipped + n + BEFORE
    cdef double *alpha = gamma + n + BEFORE
    cdef double *ends = alpha + T * width + n - 2           # the last two states of the last step
    cdef double m, of_label, of_blank, loss

    for s in range(-BEFORE, n): alpha[s] = 0 if s == -1 else -INF      # all alignments begin before the first state
    for s in range(n):
        may_skip[s] = 0 if s == 1 or (s % 2 and target[s // 2] != target[s // 2 - 1]) else -INF
    for t in range(T):
        log_softmax(V, z + t * stride, y, e, dz + t * stride)
        for s in range(n): of_state[s] = y[target[s // 2] if s % 2 else blank]
        for s in range(1, BEFORE + 1): alpha[(t + 1) * width - s] = -INF
        forward_step(n, alpha + t * width, may_skip, of_state, alpha + (t + 1) * width)
    m = largest(ends[0], ends[1], -INF)
    of_label, of_blank = exp(ends[0] - m), exp(ends[1] - m)
    loss = -(m + log(of_label + of_blank))                      # eq. 8

    for s in range(n): gamma[s] = 0
    gamma[n - 2], gamma[n - 1] = of_label / (of_label + of_blank), of_blank / (of_label + of_blank)
    for t in range(T - 1, -1, -1):
        for k in range(V): e[k] = 0
        for s in range(n): e[target[s // 2] if s % 2 else blank] += gamma[s]
        for k in range(V): dz[t * stride + k] = <floating> (<double> dz[t * stride + k] - e[k])      # eq. 16
        backward_step(n, alpha + t * width, may_skip, gamma, stepped, skipped)
    if not loss < INF:                                          # p is 0 or NaN: it has no gradient
        for t in range(T):
            for k in range(V): dz[t * stride + k] = <floating> NAN
    return loss


def room(Py_ssize_t T, Py_ssize_t L, Py_ssize_t V):
    """Numbers that `rows` needs to work in, for at most T steps and L labels."""
    return (T + 2) * (2 * L + 1 + BEFORE) + 4 * (2 * L + 1) + 2 * V


def rows(
        const floating[:, :, ::1] logits, const Py_ssize_t[:, ::1] targets, const Py_ssize_t[:] which,
        const Py_ssize_t[:] steps, const Py_ssize_t[:] labels, Py_ssize_t blank,
        double[::1] losses, floating[:, :, ::1] dlogits, double[::1] work):
    """Losses of the rows `which`, and their gradients for as many steps as a row has.

    Parameters
    ----------
    logits : (T, N, V)
    targets : (N, S), S >= 1
        Checked: 0..V-1, without the blank.
    which : (n,)
        Rows of at least one step.
    steps, labels : (N,)
        Checked: at most T and S.
    blank : int
    losses : (N,), OUT in `which`
        inf where the target has no probability; the gradient is NaN there.
    dlogits : (T, N, V), OUT in `which`
    work : (room(T, S, V),)
    """
    cdef Py_ssize_t k, b, N = logits.shape[1], V = logits.shape[2]
    if which.shape[0] == 0:
        return
    with nogil:
        for k in range(which.shape[0]):
            b = which[k]
            losses[b] = row(
                steps[b], N * V, V, labels[b], blank, &targets[b, 0], &logits[0, b, 0], &dlogits[0, b, 0], &work[0])
