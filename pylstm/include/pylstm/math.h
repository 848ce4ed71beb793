/* Activations that the compiler turns into SIMD (all but sin, cos and power), for C kernels and for `pylstm/_math.pxd`.

   Every other function is straight-line: clamps, selects, a polynomial, exponent bits put together by integers. So a plain
   loop `for (k = 0; k < n; k++) y[k] = pylstm_sigmoidf(x[k]);` vectorises at every level, SSE2 included, and one loop
   may hold several of them. No function reads the rounding mode, sets errno or needs -ffast-math.

   Names: `pylstm_exp` takes double, `pylstm_expf` float; float is computed in float (16 lanes in AVX-512).
   Specials: NaN gives NaN, +-0 and +-inf give the exact limits, results and arguments may be subnormal.
   The worst errors found, in ulp, stand above each function as `float / double`: the maximum over the three levels,
   over 5e6 sampled points; tests/test_math.py asserts the bounds: 4 / 2 ulp for exp, sigmoid and tanh, 4 / 4 for the
   rest.

   The polynomials are minimax fits: Remez exchange in 50 digits with mpmath, with the weight given above each, rounded
   to the type afterwards. */
#ifndef PYLSTM_MATH_H
#define PYLSTM_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define PYLSTM_INLINE static inline __attribute__((always_inline))
#else
#define PYLSTM_INLINE static inline
#endif

/* a b + c, rounded once where the processor can: written out, so that every compiler fuses the same products. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define PYLSTM_FUSED 1
#define PYLSTM_FMAF(a, b, c) __builtin_fmaf(a, b, c)
#define PYLSTM_FMA(a, b, c) __builtin_fma(a, b, c)
#else
#define PYLSTM_FUSED 0
#define PYLSTM_FMAF(a, b, c) ((a) * (b) + (c))
#define PYLSTM_FMA(a, b, c) ((a) * (b) + (c))
#endif

/* ---- float: constants and polynomials ---- */

PYLSTM_INLINE uint32_t pylstm_bitsf(float x) { uint32_t u; memcpy(&u, &x, sizeof u); return u; }
PYLSTM_INLINE float pylstm_from_bitsf(uint32_t u) { float x; memcpy(&x, &u, sizeof x); return x; }

/* (e^r - 1 - r) / r^2 on |r| <= ln2/2; error of e^r - 1 relative to r: 1.4e-8. */
PYLSTM_INLINE float pylstm_exp_tailf(float r) {
    const float r2 = r * r;
    const float low = PYLSTM_FMAF(0.16666542f, r, 0.5f), top = PYLSTM_FMAF(0.008366643f, r, 0.04166628f);
    return PYLSTM_FMAF(r2, PYLSTM_FMAF(r2, 0.0013946556f, top), low);
}

/* (log((1 + s)/(1 - s)) - 2 s) / s with z = s^2, |s| <= (sqrt2 - 1)/(sqrt2 + 1); error relative to 2 s: 8e-10. */
PYLSTM_INLINE float pylstm_log_tailf(float z) {
    return z * PYLSTM_FMAF(z, PYLSTM_FMAF(z, 0.2987305f, 0.39977497f), 0.66666776f);
}

#define REAL float
#define UINT uint32_t
#define F(name) pylstm_##name##f
#define LIBM(name) name##f
#define FMA(a, b, c) PYLSTM_FMAF(a, b, c)
#define C(constant) constant##f
#define MANTISSA 23
#define BIAS 127
#define SIGN_BIT 0x80000000u
#define MANTISSA_BITS 0x007fffffu
#define ONE_BITS 0x3f800000u
#define SQRT_HALF_BITS 0x3f3504f3u
#define TWO_TO_MANTISSA 0x1p23f  /* adding this to 0 <= n < 2^23 puts n into the low bits, */
#define ROUNDER 0x1.8p23f        /* adding this rounds to the nearest integer, of either sign */
#define LN2_HI 0x1.63p-1f        /* few bits: n * LN2_HI is exact */
#define LN2_LO -0x1.bd0106p-13f
#define LN2 0x1.62e43p-1f        /* float has room below its 4 ulp for shorter chains */
#if PYLSTM_FUSED                 /* n * LN2 is exact on its way into the sum, */
#define LN2_LOST -0x1.05c61p-29f /* less ln2 than LN2 has */
#endif
#define EXP_LOWEST -104.0f       /* exp is 0 below, */
#define EXP_HIGHEST 89.0f        /* inf above */
#define EXPM1_LOWEST -20.0f      /* expm1 is -1 below */
#define TANH_IS_ONE 10.0f
#define SIGMOID_IS_ONE 20.0f
#define TINY 0x1p-64f
#define MIN_NORMAL 0x1p-126f
#include "pylstm/math_template.h"

/* ---- double: constants and polynomials ---- */

PYLSTM_INLINE uint64_t pylstm_bits(double x) { uint64_t u; memcpy(&u, &x, sizeof u); return u; }
PYLSTM_INLINE double pylstm_from_bits(uint64_t u) { double x; memcpy(&x, &u, sizeof x); return x; }

/* As pylstm_exp_tailf; the error of e^r - 1 relative to r was weighted by 0.6 + 0.4 (2 r / ln2)^2, since the ends of
   the interval decide the worst case of tanh: at most 2.4e-17. */
PYLSTM_INLINE double pylstm_exp_tail(double r) {
    const double r2 = r * r, r4 = r2 * r2;
    const double first = PYLSTM_FMA(0x1.55555555518f6p-5, r, 0x1.555555555555ep-3);
    const double second = PYLSTM_FMA(0x1.6c16c18104d1ap-10, r, 0x1.111111110e1e2p-7);
    const double third = PYLSTM_FMA(0x1.a019a1a6b66cap-16, r, 0x1.a01a01b774e2ep-13);
    const double fourth = PYLSTM_FMA(0x1.28a7170520569p-22, r, 0x1.71dde6949dc02p-19);
    const double low = PYLSTM_FMA(r2, second, first), top = PYLSTM_FMA(r2, fourth, third);
    return PYLSTM_FMA(r, PYLSTM_FMA(r4, PYLSTM_FMA(r4, 0x1.af7bdd7cc6f78p-26, top), low), 0x1.0000000000006p-1);
}

/* As pylstm_log_tailf; error 1.3e-18. */
PYLSTM_INLINE double pylstm_log_tail(double z) {
    const double z2 = z * z;
    const double low = PYLSTM_FMA(0x1.999999997fb5ap-2, z, 0x1.5555555555593p-1);
    const double mid = PYLSTM_FMA(0x1.c71c51e9494cep-3, z, 0x1.2492494215c3ep-2);
    const double high = PYLSTM_FMA(0x1.39a0fab59018cp-3, z, 0x1.746645ee83548p-3);
    const double top = PYLSTM_FMA(z2, 0x1.2f0d5986da90fp-3, high);
    return z * PYLSTM_FMA(z2, PYLSTM_FMA(z2, top, mid), low);
}

#define REAL double
#define UINT uint64_t
#define F(name) pylstm_##name
#define LIBM(name) name
#define FMA(a, b, c) PYLSTM_FMA(a, b, c)
#define C(constant) constant
#define MANTISSA 52
#define BIAS 1023
#define SIGN_BIT 0x8000000000000000u
#define MANTISSA_BITS 0x000fffffffffffffu
#define ONE_BITS 0x3ff0000000000000u
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdu
#define TWO_TO_MANTISSA 0x1p52
#define ROUNDER 0x1.8p52
#define LN2_HI 0x1.62e42feep-1
#define LN2_LO 0x1.a39ef35793c76p-33
#define EXP_LOWEST -746.0
#define EXP_HIGHEST 710.0
#define EXPM1_LOWEST -40.0
#define TANH_IS_ONE 20.0
#define SIGMOID_IS_ONE 40.0
#define TINY 0x1p-64
#define MIN_NORMAL 0x1p-1022
#include "pylstm/math_template.h"

#endif
