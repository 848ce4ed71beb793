/* The inner tile of every matrix product of pylstm: a block of accumulators that lives in registers.
 *
 * A vector register holds TILE_LANES(T) columns; a panel is two registers wide; a tile has at most TILE_ROWS rows.
 * The sizes leave room for two registers of the right-hand side and one broadcast element of the left:
 *     AVX-512, 32 registers: 8 rows x 2; few rows take up to 24 accumulators over several panels
 *     AVX2,    16 registers: 6 rows x 2, at most 12 (8 rows spill)
 *     others,  16 registers: 4 rows x 2, at most 8 (multiply and add need one more register without FMA)
 * A compiler without vector types gets scalars: same loops, same order of operations. */
#ifndef PYLSTM_TILE_H
#define PYLSTM_TILE_H

#include <stddef.h>

#if defined(__AVX512F__)
#define TILE_BYTES 64
#define TILE_ROWS 8
#define TILE_ACCUMULATORS 24
#elif defined(__AVX2__)
#define TILE_BYTES 32
#define TILE_ROWS 6
#define TILE_ACCUMULATORS 12
#elif defined(__aarch64__)
#define TILE_BYTES 16
#define TILE_ROWS 8
#define TILE_ACCUMULATORS 24
#else
#define TILE_BYTES 16
#define TILE_ROWS 4
#define TILE_ACCUMULATORS 8
#endif

#if defined(__GNUC__)
#define TILE_LANES(T) (TILE_BYTES / (ptrdiff_t)sizeof(T))
#define TILE_VECTOR(T, name)                                              \
    typedef T name##_register __attribute__((vector_size(TILE_BYTES)));   \
    typedef T name __attribute__((vector_size(TILE_BYTES), aligned(sizeof(T)), may_alias))
#define TILE_INLINE static inline __attribute__((always_inline))
#define TILE_PREFETCH(p) __builtin_prefetch(p)
#ifdef __clang__
#define TILE_UNROLL _Pragma("unroll")
#else
#define TILE_UNROLL _Pragma("GCC unroll 16")
#endif
#else
#define TILE_LANES(T) 1
#define TILE_VECTOR(T, name) typedef T name##_register; typedef T name
#define TILE_INLINE static inline
#define TILE_UNROLL
#define TILE_PREFETCH(p)
#endif

/* How many vectors of columns a product of `rows` rows takes at a time, with `bytes` of packed right-hand side: few
 * rows need several panels for 8 dependency chains at once; beyond L1, fewer streams are fetched faster. */
TILE_INLINE int tile_vectors(ptrdiff_t rows, ptrdiff_t bytes)
{
    if (rows * 8 <= TILE_ACCUMULATORS && bytes <= 65536) return 8;
    return rows * 4 <= TILE_ACCUMULATORS ? 4 : 2;
}

/* How many vectors wide a panel is packed: four where a product of so many rows takes four at a time, so that it reads one
 * stream. */
TILE_INLINE int tile_panel(ptrdiff_t rows, ptrdiff_t bytes)
{
    return tile_vectors(rows, bytes) == 4 ? 4 : 2;
}

/* Prefetches into L2 what a later operation will need. */
#if defined(__GNUC__)
#define TILE_FETCH(p) __builtin_prefetch(p, 0, 2)
#else
#define TILE_FETCH(p)
#endif

/* Bytes from the loads of the right-hand side to its prefetches, 0 for none: tiles with many multiply-adds per
 * load have the time to issue them, and weights that exceed L2 arrive early enough. */
#define TILE_AHEAD(rows, vectors) ((rows) < 3 || (rows) * (vectors) < 8 ? 0 : 8192)

#ifdef __AVX512F__
#include <immintrin.h>
#endif

TILE_VECTOR(float, tile_float);
TILE_VECTOR(double, tile_double);

/* A block of 8 x 8 floats is transposed in AVX registers; what does not fit into them, doubles too, is slower there than
 * number by number. */
#if defined(__AVX2__) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE __builtin_shufflevector
#endif
#endif

#define T float
#define NAME(stem) stem##_float
#define MASKED_LOAD _mm512_maskz_loadu_ps
#define MASKED_STORE _mm512_mask_storeu_ps
#define HALF_LOAD _mm256_loadu_ps
#define HALF_STORE _mm256_storeu_ps
#define WIDENED _mm512_zextps256_ps512
#define NARROWED _mm512_castps512_ps256
#include "tile_body.h"
#undef T
#undef NAME
#undef MASKED_LOAD
#undef MASKED_STORE
#undef HALF_LOAD
#undef HALF_STORE
#undef WIDENED
#undef NARROWED
#undef SHUFFLE

#define T double
#define NAME(stem) stem##_double
#define MASKED_LOAD _mm512_maskz_loadu_pd
#define MASKED_STORE _mm512_mask_storeu_pd
#define HALF_LOAD _mm256_loadu_pd
#define HALF_STORE _mm256_storeu_pd
#define WIDENED _mm512_zextpd256_pd512
#define NARROWED _mm512_castpd512_pd256
#include "tile_body.h"
#undef T
#undef NAME
#undef MASKED_LOAD
#undef MASKED_STORE
#undef HALF_LOAD
#undef HALF_STORE
#undef WIDENED
#undef NARROWED

/* The type of the first argument, float * or double *, chooses the function. */
#define TILE_OF(stem, first) _Generic((first), float *: stem##_float, double *: stem##_double)
#define tile_product(c, ...) TILE_OF(tile_product, c)(c, __VA_ARGS__)
#define tile_fetching(c, ...) TILE_OF(tile_fetching, c)(c, __VA_ARGS__)
#define tile_outer(c, ...) TILE_OF(tile_outer, c)(c, __VA_ARGS__)
#define tile_transpose(to, ...) TILE_OF(tile_transpose, to)(to, __VA_ARGS__)
#define tile_pack(to, ...) TILE_OF(tile_pack, to)(to, __VA_ARGS__)
#define tile_peak(out, ...) TILE_OF(tile_peak, out)(out, __VA_ARGS__)

#endif
