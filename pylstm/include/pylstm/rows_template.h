/* The functions of rows.h for one element type: REAL, ROW(name), MATH(name) of math.h. */

/* 16 sums of every 16th element, then those in pairs. */
static inline REAL ROW(sum_of)(const REAL *a, ptrdiff_t n) {
    REAL sums[16] = {0};
    ptrdiff_t k = 0;
    for (; k + 16 <= n; k += 16)
        for (int m = 0; m < 16; m++)
            sums[m] += a[k + m];
    for (int m = 0; k + m < n; m++)
        sums[m] += a[k + m];
    for (int half = 8; half > 0; half /= 2)
        for (int m = 0; m < half; m++)
            sums[m] += sums[m + half];
    return sums[0];
}

/* NaN, if there is one. */
static inline REAL ROW(max_of)(const REAL *a, ptrdiff_t n) {
    REAL most = a[0];
    for (ptrdiff_t k = 1; k < n; k++)
        most = ((a[k] > most) | (a[k] != a[k])) ? a[k] : most;
    return most;
}

/* e^(a - most) to d, and the sum of them: most is the largest, so that nothing overflows. */
static inline REAL ROW(exp_of)(REAL *d, const REAL *a, ptrdiff_t n, REAL most) {
    for (ptrdiff_t k = 0; k < n; k++)
        d[k] = MATH(exp)(a[k] - most);
    return ROW(sum_of)(d, n);
}

static inline void ROW(row_sum)(REAL *d, const REAL *a, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / to;
    for (ptrdiff_t g = 0; g < to; g++)
        d[g] = ROW(sum_of)(a + g * n, n);
    (void)groups;
}

static inline void ROW(row_max)(REAL *d, const REAL *a, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / to;
    for (ptrdiff_t g = 0; g < to; g++)
        d[g] = ROW(max_of)(a + g * n, n);
    (void)groups;
}

static inline void ROW(softmax)(REAL *d, const REAL *a, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / groups;
    for (ptrdiff_t g = 0; g < groups; g++, d += n, a += n) {
        const REAL sum = ROW(exp_of)(d, a, n, ROW(max_of)(a, n));
        for (ptrdiff_t k = 0; k < n; k++)
            d[k] /= sum;
    }
    (void)to;
}

/* most + log(sum e^(a - most)): the terms in pieces of 64, whose sums are added up one after another. */
static inline void ROW(logsumexp)(REAL *d, const REAL *a, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / to;
    REAL terms[64];
    for (ptrdiff_t g = 0; g < to; g++, a += n) {
        const REAL most = ROW(max_of)(a, n);
        REAL sum = 0;
        for (ptrdiff_t k = 0; k < n; k += 64)
            sum += ROW(exp_of)(terms, a + k, n - k < 64 ? n - k : 64, most);
        d[g] = most + MATH(log)(sum);
    }
    (void)groups;
}

static inline void ROW(cumsum)(REAL *d, const REAL *a, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / groups;
    for (ptrdiff_t g = 0; g < groups; g++, d += n, a += n) {
        REAL sum = 0;
        for (ptrdiff_t k = 0; k < n; k++)
            d[k] = sum += a[k];
    }
    (void)to;
}

/* From the end. */
static inline void ROW(rcumsum)(REAL *d, const REAL *a, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / groups;
    for (ptrdiff_t g = 0; g < groups; g++, d += n, a += n) {
        REAL sum = 0;
        for (ptrdiff_t k = n - 1; k >= 0; k--)
            d[k] = sum += a[k];
    }
    (void)to;
}

/* Each unit to / from times. */
static inline void ROW(repeat)(REAL *d, const REAL *a, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = to / from;
    for (ptrdiff_t g = 0; g < from; g++, d += n) {
        const REAL value = a[g];
        for (ptrdiff_t k = 0; k < n; k++)
            d[k] = value;
    }
    (void)groups;
}

/* The units of each group to / from times, as a whole. */
static inline void ROW(tile)(REAL *d, const REAL *a, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / groups, times = to / from;
    for (ptrdiff_t g = 0; g < groups; g++, a += n)
        for (ptrdiff_t c = 0; c < times; c++, d += n)
            memcpy(d, a, (size_t)n * sizeof(REAL));
}

/* The sums of what tile repeats, one piece after another. */
static inline void ROW(fold)(REAL *d, const REAL *a, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = to / groups, times = from / to;
    for (ptrdiff_t g = 0; g < groups; g++, d += n) {
        memcpy(d, a, (size_t)n * sizeof(REAL));
        a += n;
        for (ptrdiff_t c = 1; c < times; c++, a += n)
            for (ptrdiff_t k = 0; k < n; k++)
                d[k] += a[k];
    }
}
