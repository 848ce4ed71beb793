/* Included by tile.h once per element type T. No include guard: that is the point. */

#define LANES TILE_LANES(T)
#define VECTOR NAME(tile)
#define REGISTER NAME_REGISTER(VECTOR)
#define NAME_REGISTER(v) NAME_REGISTER_(v)
#define NAME_REGISTER_(v) v##_register

/* The first n of a register's elements, 0 < n < LANES; the others are 0, or are not stored. Half a register of AVX-512 goes
 * without a mask: loads that follow a masked store wait 4 to 6 cycles longer for it (Zen 5). */
TILE_INLINE REGISTER NAME(tile_load_part)(const T *p, ptrdiff_t n)
{
#ifdef LOAD_HALF
    if (n == LANES / 2) return LOAD_HALF(p);
#endif
#if defined(__AVX2__)
    return LOAD_FIRST(p, n);
#elif defined(__GNUC__)
    REGISTER all = {p[0]};
    TILE_UNROLL for (int j = 1; j < LANES - 1; j++)
        if (j < n) all[j] = p[j];
    return all;
#else
    return *p;
#endif
}

TILE_INLINE void NAME(tile_store_part)(T *p, ptrdiff_t n, REGISTER value)
{
#ifdef LOAD_HALF
    if (n == LANES / 2) {
        STORE_HALF(p, value);
        return;
    }
#endif
#if defined(__AVX2__)
    STORE_FIRST(p, n, value);
#elif defined(__GNUC__)
    TILE_UNROLL for (int j = 0; j < LANES - 1; j++)
        if (j < n) p[j] = value[j];
#else
    *p = value;
#endif
}

/* c[i, j] = start[i, j] + a[i, 0] b[0, j] + a[i, 1] b[1, j] + ...   for i < rows, j < columns
 *
 * One dependency chain of multiply-adds per element, in the order of k, whatever `rows` and `vectors` are: an element has
 * the same bits in every tile. start == NULL starts from 0; add != 0 adds the sum to c instead of storing it.
 *     a[i, k]   at a[i * a_step + k] if a_rows, else at a[i + k * a_step]
 *     b[k, j]   at b[k * b_step + j], two vectors per panel, panels b_panel elements apart, whole vectors
 *     columns   vectors * LANES, or less (the last vector is partial) if vectors <= 2
 *     ahead     if fetch, K cache lines to prefetch, one for each k
 * rows, vectors, a_rows, add and fetch are compile-time constants in every use: the tests of them disappear. */
TILE_INLINE void NAME(tile_sum)(const int rows, const int vectors, const int a_rows, const int add, const int fetch,
                                ptrdiff_t columns, ptrdiff_t K, const T *a, ptrdiff_t a_step,
                                const T *b, ptrdiff_t b_step, ptrdiff_t b_panel,
                                const T *start, ptrdiff_t start_step, T *c, ptrdiff_t c_step, const char *ahead)
{
    const ptrdiff_t last = vectors - 1;
    const ptrdiff_t part = vectors <= 2 && columns < vectors * LANES ? columns - last * LANES : 0;

#define START(i, j)                                                                            \
    REGISTER sum##i##j = {0};                                                                  \
    if (i < rows && j < vectors) {                                                             \
        const ptrdiff_t at = i * start_step + j * LANES;                                       \
        if (add) TILE_PREFETCH(c + i * c_step + j * LANES);                                    \
        if (start && part && j == last) sum##i##j = NAME(tile_load_part)(start + at, part);    \
        else if (start) sum##i##j = *(const VECTOR *)(start + at);                             \
    }
    FOR_TILE(START)

#define RIGHT(j)                                                                                              \
    REGISTER right##j = {0};                                                                                  \
    if (j < vectors) {                                                                                        \
        const T *p = b + k * b_step + (j / 2) * b_panel + (j % 2) * LANES;                                    \
        right##j = *(const VECTOR *)p;                                                                        \
        if (TILE_AHEAD(rows, vectors)) TILE_PREFETCH(p + TILE_AHEAD(rows, vectors) / (int)sizeof(T));         \
    }
#define LEFT(i) const T left##i = i >= rows ? 0 : a_rows ? a[i * a_step + k] : a[i + k * a_step];
#define MULTIPLY_ADD(i, j) \
    if (i < rows && j < vectors) sum##i##j += left##i * right##j;
    for (ptrdiff_t k = 0; k < K; k++) {
        FOR_EIGHT(RIGHT)
        if (fetch) TILE_FETCH(ahead + k * 64);
        FOR_EIGHT(LEFT)
        FOR_TILE(MULTIPLY_ADD)
    }

#define STORE(i, j)                                                \
    if (i < rows && j < vectors) {                                 \
        T *p = c + i * c_step + j * LANES;                         \
        if (part && j == last) {                                   \
            if (add) sum##i##j += NAME(tile_load_part)(p, part);   \
            NAME(tile_store_part)(p, part, sum##i##j);             \
        } else {                                                   \
            if (add) sum##i##j += *(const VECTOR *)p;              \
            *(VECTOR *)p = sum##i##j;                              \
        }                                                          \
    }
    FOR_TILE(STORE)
#undef START
#undef RIGHT
#undef LEFT
#undef MULTIPLY_ADD
#undef STORE
}

#define FOR_ROWS(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)

/* a row-major with leading dimension a_step. vectors: 1, or a power of two up to tile_vectors(rows). */
static void NAME(tile_product)(T *c, ptrdiff_t c_step, ptrdiff_t rows, int vectors, ptrdiff_t columns, ptrdiff_t K,
                               const T *restrict a, ptrdiff_t a_step, const T *restrict b, ptrdiff_t b_step,
                               ptrdiff_t b_panel, const T *start, ptrdiff_t start_step)
{
#define USE(r, v) \
    NAME(tile_sum)(r, v, 1, 0, 0, columns, K, a, a_step, b, b_step, b_panel, start, start_step, c, c_step, NULL)
#define CASE(r)                                                          \
    case r:                                                              \
        if (r > TILE_ROWS) break;                                        \
        if (vectors == 2) USE(r, 2);                                     \
        else if (vectors == 1) USE(r, 1);                                \
        else if (TILE_FITS(r, 8) && vectors == 8) USE(r, 8);             \
        else if (TILE_FITS(r, 4)) USE(r, 4);                             \
        break;
    switch (rows) { FOR_ROWS(CASE) }
#undef CASE
#undef USE
}

/* tile_product of two vectors and TILE_ROWS / 2 rows or more, which prefetches K lines on the way. (As one function with
 * tile_product both are slower: 1 x 512 x 128 by 4 %.) */
static void NAME(tile_fetching)(T *c, ptrdiff_t c_step, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t K,
                                const T *restrict a, ptrdiff_t a_step, const T *restrict b, ptrdiff_t b_step,
                                const T *start, ptrdiff_t start_step, const char *ahead)
{
#define CASE(r)                                                                                                  \
    case r:                                                                                                      \
        if (r > TILE_ROWS || 2 * r < TILE_ROWS) break;                                                           \
        NAME(tile_sum)(r, 2, 1, 0, 1, columns, K, a, a_step, b, b_step, 0, start, start_step, c, c_step, ahead); \
        break;
    switch (rows) { FOR_ROWS(CASE) }
#undef CASE
}

/* c += a' b: a[k, i] at a[i + k * a_step]. vectors: 1 or 2. */
static void NAME(tile_outer)(T *c, ptrdiff_t c_step, ptrdiff_t rows, int vectors, ptrdiff_t columns, ptrdiff_t K,
                             const T *restrict a, ptrdiff_t a_step, const T *restrict b, ptrdiff_t b_step)
{
#define USE(r, v) NAME(tile_sum)(r, v, 0, 1, 0, columns, K, a, a_step, b, b_step, 0, NULL, 0, c, c_step, NULL)
#define CASE(r)                         \
    case r:                             \
        if (r > TILE_ROWS) break;       \
        if (vectors == 2) USE(r, 2);    \
        else USE(r, 1);                 \
        break;
    switch (rows) { FOR_ROWS(CASE) }
#undef CASE
#undef USE
}

/* K rows of n elements, ld apart -> rows of whole vectors, the missing elements 0. 0 < n <= 2 * LANES. */
static void NAME(tile_pack)(T *restrict to, ptrdiff_t K, ptrdiff_t n, const T *restrict from, ptrdiff_t ld)
{
    if (n == 2 * LANES)
        for (ptrdiff_t k = 0; k < K; k++, from += ld, to += 2 * LANES) {
            *(VECTOR *)to = *(const VECTOR *)from;
            *(VECTOR *)(to + LANES) = *(const VECTOR *)(from + LANES);
        }
    else if (n > LANES)
        for (ptrdiff_t k = 0; k < K; k++, from += ld, to += 2 * LANES) {
            *(VECTOR *)to = *(const VECTOR *)from;
            *(VECTOR *)(to + LANES) = NAME(tile_load_part)(from + LANES, n - LANES);
        }
    else if (n == LANES)
        for (ptrdiff_t k = 0; k < K; k++, from += ld, to += LANES)
            *(VECTOR *)to = *(const VECTOR *)from;
    else
        for (ptrdiff_t k = 0; k < K; k++, from += ld, to += LANES)
            *(VECTOR *)to = NAME(tile_load_part)(from, n);
}

/* to[k, j] = from[j, k] for eight j and the first k of K, as many as it returns: blocks of 8 x 8, by pairs of elements, of
 * pairs, and of fours. */
static ptrdiff_t NAME(tile_transpose)(T *restrict to, ptrdiff_t width, ptrdiff_t K, const T *restrict from, ptrdiff_t ld)
{
    ptrdiff_t k = 0;
#ifdef SHUFFLE
    typedef T eight __attribute__((vector_size(8 * sizeof(T)), aligned(sizeof(T)), may_alias));
    for (; k + 8 <= K; k += 8) {
        eight row[8], pair[8], four[8];
        TILE_UNROLL for (int j = 0; j < 8; j++)
            row[j] = *(const eight *)(from + j * ld + k);
        TILE_UNROLL for (int j = 0; j < 8; j += 2) {
            pair[j] = SHUFFLE(row[j], row[j + 1], 0, 8, 1, 9, 4, 12, 5, 13);
            pair[j + 1] = SHUFFLE(row[j], row[j + 1], 2, 10, 3, 11, 6, 14, 7, 15);
        }
        TILE_UNROLL for (int j = 0; j < 8; j++) {          /* four[j], four[j + 4]: columns j and j + 4 of half the rows */
            const int at = j / 4 * 4 + j % 4 / 2;
            four[j] = j % 2 ? SHUFFLE(pair[at], pair[at + 2], 2, 3, 10, 11, 6, 7, 14, 15)
                            : SHUFFLE(pair[at], pair[at + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        }
        TILE_UNROLL for (int j = 0; j < 4; j++) {
            *(eight *)(to + (k + j) * width) = SHUFFLE(four[j], four[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
            *(eight *)(to + (k + j + 4) * width) = SHUFFLE(four[j], four[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
        }
    }
#endif
    return k;
}

/* steps x 16 (or 12) independent multiply-adds of whole registers and nothing else: the peak
 * that the benchmarks compare with. Returns how many operations (2 per multiply-add and lane) that was. */
static double NAME(tile_peak)(T *out, ptrdiff_t steps, T factor, T term)
{
    enum { CHAINS = TILE_ROWS == 8 ? 16 : 12 };
    REGISTER sum[CHAINS];
    TILE_UNROLL for (int i = 0; i < CHAINS; i++)
        sum[i] = (REGISTER){0} + (T)i;
    for (ptrdiff_t k = 0; k < steps; k++)
        TILE_UNROLL for (int i = 0; i < CHAINS; i++)
            sum[i] = sum[i] * factor + term;
    TILE_UNROLL for (int i = 0; i < CHAINS; i++)
        *(VECTOR *)out += sum[i];
    return 2.0 * CHAINS * LANES * steps;
}

#undef FOR_ROWS
#undef FIRST
#undef LOAD_FIRST
#undef STORE_FIRST
#undef LOAD_HALF
#undef STORE_HALF
#undef NAME_REGISTER_
#undef NAME_REGISTER
#undef REGISTER
#undef VECTOR
#undef LANES
#undef NAME
#undef T
