/* Included by tile.h once per element type T. No include guard: that is the point. */

#define LANES TILE_LANES(T)
#define VECTOR NAME(tile)
#define REGISTER NAME_REGISTER(VECTOR)
#define NAME_REGISTER(v) NAME_REGISTER_(v)
#define NAME_REGISTER_(v) v##_register

/* c[i, j] = start[i, j] + a[i, 0] b[0, j] + a[i, 1] b[1, j] + ...   for i < rows, j < vectors * LANES
 *
 * One chain of multiply-adds per element, in the order of k, whatever `rows` and `vectors` are: an element has the
 * same bits in every tile. start == NULL starts from 0; add != 0 adds the sum to c instead of storing it.
 *     a[i, k]   at a[i * a_step + k] if a_rows, else at a[i + k * a_step]
 *     b[k, j]   at b[k * b_step + j], two vectors per panel, panels b_panel elements apart
 * rows, vectors and a_rows are compile-time constants in every use: the loops over them disappear. */
TILE_INLINE void NAME(tile_sum)(const int rows, const int vectors, const int a_rows, ptrdiff_t K,
                                const T *a, ptrdiff_t a_step, const T *b, ptrdiff_t b_step, ptrdiff_t b_panel,
                                const T *start, ptrdiff_t start_step, T *c, ptrdiff_t c_step, int add)
{
    REGISTER sum[TILE_ACCUMULATORS];
    TILE_UNROLL for (int i = 0; i < rows; i++)
        TILE_UNROLL for (int j = 0; j < vectors; j++)
            if (start) sum[i * vectors + j] = *(const VECTOR *)(start + i * start_step + j * LANES);
            else sum[i * vectors + j] = (REGISTER){0};
    for (ptrdiff_t k = 0; k < K; k++) {
        REGISTER right[8];
        TILE_UNROLL for (int j = 0; j < vectors; j++)
            right[j] = *(const VECTOR *)(b + k * b_step + (j / 2) * b_panel + (j % 2) * LANES);
        TILE_UNROLL for (int i = 0; i < rows; i++) {
            const T left = a_rows ? a[i * a_step + k] : a[i + k * a_step];
            TILE_UNROLL for (int j = 0; j < vectors; j++)
                sum[i * vectors + j] += left * right[j];
        }
    }
    TILE_UNROLL for (int i = 0; i < rows; i++)
        TILE_UNROLL for (int j = 0; j < vectors; j++) {
            VECTOR *out = (VECTOR *)(c + i * c_step + j * LANES);
            if (add) *out += sum[i * vectors + j];
            else *out = sum[i * vectors + j];
        }
}

#define FOR_ROWS(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)

/* a row-major with leading dimension a_step. vectors: 1, or a power of two up to tile_vectors(rows). */
static void NAME(tile_product)(ptrdiff_t rows, int vectors, ptrdiff_t K, const T *restrict a, ptrdiff_t a_step,
                               const T *restrict b, ptrdiff_t b_step, ptrdiff_t b_panel,
                               const T *start, ptrdiff_t start_step, T *c, ptrdiff_t c_step)
{
#define USE(r, v) NAME(tile_sum)(r, v, 1, K, a, a_step, b, b_step, b_panel, start, start_step, c, c_step, 0)
#define CASE(r)                                                          \
    case r:                                                              \
        if (r > TILE_ROWS) break;                                        \
        if (vectors == 2) USE(r, 2);                                     \
        else if (vectors == 1) USE(r, 1);                                \
        else if (r * 8 <= TILE_ACCUMULATORS && vectors == 8) USE(r, 8);  \
        else if (r * 4 <= TILE_ACCUMULATORS) USE(r, 4);                  \
        break;
    switch (rows) { FOR_ROWS(CASE) }
#undef CASE
#undef USE
}

/* c += a' b: a[k, i] at a[i + k * a_step]. vectors: 1 or 2. */
static void NAME(tile_outer)(ptrdiff_t rows, int vectors, ptrdiff_t K, const T *restrict a, ptrdiff_t a_step,
                             const T *restrict b, ptrdiff_t b_step, T *c, ptrdiff_t c_step)
{
#define USE(r, v) NAME(tile_sum)(r, v, 0, K, a, a_step, b, b_step, 0, NULL, 0, c, c_step, 1)
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

/* steps x (16 or, without AVX-512, 12 or 8) independent multiply-adds of whole registers and nothing else: the peak
 * that the benchmarks compare with. Returns how many operations (2 per multiply-add and lane) that was. */
static double NAME(tile_peak)(ptrdiff_t steps, T factor, T term, T *out)
{
    enum { CHAINS = 2 * TILE_ROWS };
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
#undef NAME_REGISTER_
#undef NAME_REGISTER
#undef REGISTER
#undef VECTOR
#undef LANES
