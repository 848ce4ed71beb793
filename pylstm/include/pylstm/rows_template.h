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
        REAL most = ROW(max_of)(a, n), sum = 0;
        most = most - most == 0 || most != most ? most : 0; /* of infinities the logarithm says it */
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

/* ---- of two rows: what is made of a product in between, with the same roundings and the same order ---- */

/* As sum_of, of the products. */
static inline REAL ROW(dot_of)(const REAL *a, const REAL *b, ptrdiff_t n) {
    REAL sums[16] = {0};
    ptrdiff_t k = 0;
    for (; k + 16 <= n; k += 16)
        for (int m = 0; m < 16; m++) {
            const REAL product = a[k + m] * b[k + m];
            sums[m] += product;
        }
    for (int m = 0; k + m < n; m++) {
        const REAL product = a[k + m] * b[k + m];
        sums[m] += product;
    }
    for (int half = 8; half > 0; half /= 2)
        for (int m = 0; m < half; m++)
            sums[m] += sums[m + half];
    return sums[0];
}

/* row_sum of a times b, of the same width. */
static inline void ROW(row_dot)(REAL *d, const REAL *a, const REAL *b, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / to;
    for (ptrdiff_t g = 0; g < to; g++)
        d[g] = ROW(dot_of)(a + g * n, b + g * n, n);
    (void)groups;
}

/* row_sum of the matrix a (`from` elements) times the tiled vector b. */
static inline void ROW(matvec)(REAL *d, const REAL *a, const REAL *b, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / to, rows = to / groups;
    for (ptrdiff_t g = 0; g < groups; g++, b += n)
        for (ptrdiff_t i = 0; i < rows; i++, a += n)
            *d++ = ROW(dot_of)(a, b, n);
}

/* fold of the repeated vector a times the matrix b (`from` elements). */
static inline void ROW(vecmat)(REAL *d, const REAL *a, const REAL *b, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = to / groups, rows = from / to;
    for (ptrdiff_t g = 0; g < groups; g++, d += n) {
        for (ptrdiff_t k = 0; k < n; k++)
            d[k] = a[0] * b[k];
        a++, b += n;
        for (ptrdiff_t i = 1; i < rows; i++, a++, b += n) {
            const REAL factor = *a;
            for (ptrdiff_t k = 0; k < n; k++) {
                const REAL product = factor * b[k];
                d[k] += product;
            }
        }
    }
}

/* The repeated vector a times the tiled vector b of `from` elements. */
static inline void ROW(outer)(REAL *d, const REAL *a, const REAL *b, ptrdiff_t to, ptrdiff_t from, ptrdiff_t groups) {
    const ptrdiff_t n = from / groups, rows = to / from;
    for (ptrdiff_t g = 0; g < groups; g++, b += n)
        for (ptrdiff_t i = 0; i < rows; i++, d += n) {
            const REAL factor = *a++;
            for (ptrdiff_t k = 0; k < n; k++)
                d[k] = factor * b[k];
        }
}
