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
#define TILE_REGISTERS 32
#define TILE_ROWS 8
#define TILE_ACCUMULATORS 24
#elif defined(__AVX2__)
#define TILE_BYTES 32
#define TILE_REGISTERS 16
#define TILE_ROWS 6
#define TILE_ACCUMULATORS 12
#elif defined(__aarch64__)
#define TILE_BYTES 16
#define TILE_REGISTERS 32
#define TILE_ROWS 8
#define TILE_ACCUMULATORS 24
#else
#define TILE_BYTES 16
#define TILE_REGISTERS 16
#define TILE_ROWS 4
#define TILE_ACCUMULATORS 8
#endif

/* Whether a tile stays in registers. clang loads all vectors of the right-hand side before the multiply-adds (those of a
 * single row are operands in memory), gcc one after the other: 3 x 8 (AVX-512) and 3 x 4 (AVX2) are for gcc only. */
#ifdef __clang__
#define TILE_FITS(rows, vectors) \
    ((rows) * (vectors) <= TILE_ACCUMULATORS && ((rows) + ((rows) > 1)) * (vectors) < TILE_REGISTERS)
#else
#define TILE_FITS(rows, vectors) ((rows) * (vectors) <= TILE_ACCUMULATORS)
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
    if (TILE_FITS(rows, 8) && bytes <= 65536) return 8;
    return TILE_FITS(rows, 4) ? 4 : 2;
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

#ifdef __AVX2__
#include <immintrin.h>
#endif

/* DO(i, j) for each accumulator that a tile can have, of row i and vector j. Each is a variable of its own, not an element of
 * an array: clang before 19 keeps such an array in memory, and the layer took 3 to 4 times as long. */
#define FOR_EIGHT(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define ROW_OF_2(DO, i) DO(i, 0) DO(i, 1)
#define ROW_OF_4(DO, i) ROW_OF_2(DO, i) DO(i, 2) DO(i, 3)
#define ROW_OF_8(DO, i) ROW_OF_4(DO, i) DO(i, 4) DO(i, 5) DO(i, 6) DO(i, 7)
#define FOR_TILE(DO)                                        \
    ROW_OF_8(DO, 0) ROW_OF_8(DO, 1) ROW_OF_8(DO, 2)         \
    ROW_OF_4(DO, 3) ROW_OF_4(DO, 4) ROW_OF_4(DO, 5)         \
    ROW_OF_2(DO, 6) ROW_OF_2(DO, 7)

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
#ifdef __AVX512F__
#define LOAD_FIRST(p, n) _mm512_maskz_loadu_ps((1u << (n)) - 1, p)
#define STORE_FIRST(p, n, value) _mm512_mask_storeu_ps(p, (1u << (n)) - 1, value)
#define LOAD_HALF(p) _mm512_zextps256_ps512(_mm256_loadu_ps(p))
#define STORE_HALF(p, value) _mm256_storeu_ps(p, _mm512_castps512_ps256(value))
#else
#define FIRST(n) _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define LOAD_FIRST(p, n) _mm256_maskload_ps(p, FIRST(n))
#define STORE_FIRST(p, n, value) _mm256_maskstore_ps(p, FIRST(n), value)
#endif
#include "tile_body.h"
#undef SHUFFLE

#define T double
#define NAME(stem) stem##_double
#ifdef __AVX512F__
#define LOAD_FIRST(p, n) _mm512_maskz_loadu_pd((1u << (n)) - 1, p)
#define STORE_FIRST(p, n, value) _mm512_mask_storeu_pd(p, (1u << (n)) - 1, value)
#define LOAD_HALF(p) _mm512_zextpd256_pd512(_mm256_loadu_pd(p))
#define STORE_HALF(p, value) _mm256_storeu_pd(p, _mm512_castpd512_pd256(value))
#else
#define FIRST(n) _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3))
#define LOAD_FIRST(p, n) _mm256_maskload_pd(p, FIRST(n))
#define STORE_FIRST(p, n, value) _mm256_maskstore_pd(p, FIRST(n), value)
#endif
#include "tile_body.h"

/* The type of the first argument, float * or double *, chooses the function. */
#define TILE_OF(stem, first) _Generic((first), float *: stem##_float, double *: stem##_double)
#define tile_product(c, ...) TILE_OF(tile_product, c)(c, __VA_ARGS__)
#define tile_fetching(c, ...) TILE_OF(tile_fetching, c)(c, __VA_ARGS__)
#define tile_outer(c, ...) TILE_OF(tile_outer, c)(c, __VA_ARGS__)
#define tile_transpose(to, ...) TILE_OF(tile_transpose, to)(to, __VA_ARGS__)
#define tile_pack(to, ...) TILE_OF(tile_pack, to)(to, __VA_ARGS__)
#define tile_peak(out, ...) TILE_OF(tile_peak, out)(out, __VA_ARGS__)

#endif
