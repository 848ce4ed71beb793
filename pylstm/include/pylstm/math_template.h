/* The functions of math.h that float and double share. Included twice by math.h, never by anyone else; the macros are
   defined there. Worst errors: float / double. */

#define LOG2E C(0x1.71547652b82fep0)

/* e^x = 2^n (1 + q) with |q| < 0.42, x = n ln2 + r. Adding `rounder` (ROUNDER plus an integer, which ends up in the
   exponent of the scale) rounds x / ln2 and leaves n plus that integer in the low bits of `sum`. The low part of n ln2
   joins after the polynomial, so that r is not rounded where it counts. Garbage if x is far out of the range of exp: the
   callers replace such results at the end, where it costs no latency. */
typedef struct { REAL q, sum; } F(split);

PYLSTM_INLINE F(split) F(reduce)(REAL x, REAL rounder) {
    F(split) p;
    p.sum = FMA(x, LOG2E, rounder);
    const REAL n = p.sum - rounder;
    const REAL high = FMA(-n, LN2_HI, x), r = FMA(-n, LN2_LO, high);
    p.q = high + FMA(-n, LN2_LO, (r * r) * F(exp_tail)(r));
    return p;
}

PYLSTM_INLINE REAL F(scale)(F(split) p) { return F(from_bits)(F(bits)(p.sum) << MANTISSA); }
PYLSTM_INLINE REAL F(minus_abs)(REAL x) { return F(from_bits)(F(bits)(x) | SIGN_BIT); }

/* For x in [EXP_LOWEST, EXP_HIGHEST] or NaN. 2^n comes in two halves, because 2^-150 and 2^128 are not floats; the
   first product is exact, so a subnormal is rounded once. */
PYLSTM_INLINE REAL F(exp_in_range)(REAL x) {
    const F(split) p = F(reduce)(x, ROUNDER + 2 * BIAS);
    const UINT both = F(bits)(p.sum), half = both >> 1;
    const REAL y = C(1.0) + p.q;
    return (y * F(from_bits)(half << MANTISSA)) * F(from_bits)((both - half) << MANTISSA);
}

/* e^x. Worst 0.91 / 0.90 ulp. */
PYLSTM_INLINE REAL F(exp)(REAL x) {
    const REAL low = x < EXP_LOWEST ? EXP_LOWEST : x;
    return F(exp_in_range)(low > EXP_HIGHEST ? EXP_HIGHEST : low);
}

/* e^-|x|. */
PYLSTM_INLINE REAL F(exp_minus_abs)(REAL x) {
    const REAL a = F(minus_abs)(x);
    return F(exp_in_range)(a < EXP_LOWEST ? EXP_LOWEST : a);
}

/* e^x - 1 = s q + (s - 1) with s = 2^n; through s / 2, since s may overflow where the result does not. n = 0 is taken
   apart to keep subnormals, the sign bit to keep -0. Worst 1.70 / 1.71 ulp. */
PYLSTM_INLINE REAL F(expm1)(REAL x) {
    const REAL low = x < EXPM1_LOWEST ? EXPM1_LOWEST : x, a = low > EXP_HIGHEST ? EXP_HIGHEST : low;
    const F(split) p = F(reduce)(a, ROUNDER + (BIAS - 1));
    const REAL s = F(scale)(p), far = C(2.0) * FMA(s, p.q, s - C(0.5));
    const REAL y = s == C(0.5) ? p.q : far;
    return F(from_bits)(F(bits)(y) | (F(bits)(x) & SIGN_BIT));
}

/* log(u) + c/u - shift ln2 for a normal u > 0 and a correction c of the order of the rounding error of u.
   u = 2^n m with m in [sqrt(1/2), sqrt2], f = m - 1, s = f / (2 + f), log m = 2 s + s tail(s^2)
   = f - (f^2/2 - s (f^2/2 + tail)). */
PYLSTM_INLINE REAL F(log_normal)(REAL u, REAL c, REAL shift) {
    const UINT shifted = F(bits)(u) + (ONE_BITS - SQRT_HALF_BITS);
    const REAL m = F(from_bits)((shifted & MANTISSA_BITS) + SQRT_HALF_BITS);
    const REAL biased = F(from_bits)(F(bits)(TWO_TO_MANTISSA) | (shifted >> MANTISSA)) - (TWO_TO_MANTISSA + BIAS);
    const REAL n = biased - shift;
    const REAL f = m - C(1.0), s = f / (C(2.0) + f), half = C(0.5) * f;
    const REAL low = FMA(s, FMA(half, f, F(log_tail)(s * s)), FMA(n, LN2_LO, c));
    return FMA(n, LN2_HI, -(FMA(half, f, -low) - f));
}

/* Natural logarithm; -inf at 0, NaN below. Worst 0.81 / 0.79 ulp. */
PYLSTM_INLINE REAL F(log)(REAL x) {
    const int subnormal = x < MIN_NORMAL;
    const REAL up = x * (C(2.0) * TWO_TO_MANTISSA);
    const REAL y = F(log_normal)(subnormal ? up : x, C(0.0), subnormal ? C(1.0) + MANTISSA : C(0.0));
    const REAL z = x < (REAL)INFINITY ? y : x;
    return x > 0 ? z : (x == 0 ? -(REAL)INFINITY : (REAL)NAN);
}

/* log(1 + x): u = 1 + x rounded, c what the rounding lost. -inf at -1, NaN below. Worst 0.79 / 0.80 ulp. */
PYLSTM_INLINE REAL F(log1p)(REAL x) {
    const REAL u = C(1.0) + x;
    const REAL c = x < C(1.0) ? x - (u - C(1.0)) : C(1.0) - (u - x);
    const REAL y = F(log_normal)(u, c / u, C(0.0));
    const REAL z = x < (REAL)INFINITY && x != 0 ? y : x;
    return u > 0 ? z : (u == 0 ? -(REAL)INFINITY : (REAL)NAN);
}

/* 1 / (1 + e^-x) = TINY / (TINY + TINY e^-x): TINY = 2^-64 keeps the scale of e^-x finite where the result is
   subnormal. The order of the sum keeps the 1 where e^-x is large. Worst 3.00 (2.00 without FMA) / 2.00 ulp. */
PYLSTM_INLINE REAL F(sigmoid)(REAL x) {
#ifdef LN2_LOST
    /* Shorter where n LN2 is exact, for a type with room for one ulp more: what LN2 lacks goes into the scale. */
    const REAL sum = FMA(x, -LOG2E, ROUNDER + (BIAS - 64)), n = sum - (ROUNDER + (BIAS - 64)), r = FMA(-n, LN2, -x);
    const REAL power = F(from_bits)(F(bits)(sum) << MANTISSA), s = FMA(-power, n * LN2_LOST, power);
    const REAL y = TINY / FMA(s * (r * r), F(exp_tail)(r), FMA(s, r, s + TINY));
#else
    const F(split) p = F(reduce)(-x, ROUNDER + (BIAS - 64));
    const REAL s = F(scale)(p), y = TINY / (FMA(s, p.q, TINY) + s);
#endif
    const REAL low = x < EXP_LOWEST ? C(0.0) : y;
    return x > SIGMOID_IS_ONE ? C(1.0) : low;
}

/* With e^(-2|x|) = s (1 + q): tanh|x| = (1 - s - s q) / (1 + s + s q). For small x it is s = 1 and nothing cancels. For
   float n LN2 need not be n ln2: where n is large, s is so small that it does not matter. (A rational x P(x^2) / Q(x^2)
   of degrees 4 and 4 is shorter still, but its rounding errors reach 5 ulp.) Worst 2.79 / 1.95 ulp. */
PYLSTM_INLINE REAL F(tanh)(REAL x) {
    const REAL half = F(minus_abs)(x);
#ifdef LN2
    const REAL sum = FMA(half, C(2.0) * LOG2E, ROUNDER + BIAS), n = sum - (ROUNDER + BIAS);
    const REAL r = FMA(-n, LN2, C(2.0) * half), s = F(from_bits)(F(bits)(sum) << MANTISSA);
    const REAL sr2 = s * (r * r), tail = F(exp_tail)(r);
    const REAL quotient = FMA(-sr2, tail, FMA(-s, r, C(1.0) - s)) / FMA(sr2, tail, FMA(s, r, C(1.0) + s));
#else
    const F(split) p = F(reduce)(C(2.0) * half, ROUNDER + BIAS);
    const REAL s = F(scale)(p), quotient = FMA(-s, p.q, C(1.0) - s) / FMA(s, p.q, C(1.0) + s);
#endif
    const REAL y = half < -TANH_IS_ONE ? C(1.0) : quotient;
    return F(from_bits)(F(bits)(y) | (F(bits)(x) & SIGN_BIT));
}

/* log(1 + e^x) = max(x, 0) + log1p(e^-|x|). Worst 1.55 / 1.57 ulp. */
PYLSTM_INLINE REAL F(softplus)(REAL x) {
    const REAL e = F(exp_minus_abs)(x), u = C(1.0) + e, c = e - (u - C(1.0));
    return (x > 0 ? x : C(0.0)) + F(log_normal)(u, c / u, C(0.0));
}

/* max(x, 0); NaN stays. Exact. */
PYLSTM_INLINE REAL F(relu)(REAL x) { return x <= 0 ? C(0.0) : x; }

/* In hardware. Worst 0.5 ulp. */
PYLSTM_INLINE REAL F(sqrt)(REAL x) { return LIBM(sqrt)(x); }

/* libm, one by one: the only three that do not vectorise. sin, cos: worst 0.56 / 0.52 ulp (glibc). */
PYLSTM_INLINE REAL F(sin)(REAL x) { return LIBM(sin)(x); }
PYLSTM_INLINE REAL F(cos)(REAL x) { return LIBM(cos)(x); }
PYLSTM_INLINE REAL F(power)(REAL x, REAL y) { return LIBM(pow)(x, y); }

/* Derivatives from the output y. Not 1 - y^2: without FMA its error near |y| = 1 is unbounded, and 1 - y is exact there.
   Worst 1.50 / 1.50 ulp of the formula at the given y. */
PYLSTM_INLINE REAL F(dsigmoid_from_y)(REAL y) { return y * (C(1.0) - y); }
PYLSTM_INLINE REAL F(dtanh_from_y)(REAL y) { return (C(1.0) - y) * (C(1.0) + y); }
PYLSTM_INLINE REAL F(drelu_from_y)(REAL y) { return y <= 0 ? C(0.0) : (y > 0 ? C(1.0) : y); }

#undef LOG2E
#undef REAL
#undef UINT
#undef F
#undef LIBM
#undef FMA
#undef C
#undef MANTISSA
#undef BIAS
#undef SIGN_BIT
#undef MANTISSA_BITS
#undef ONE_BITS
#undef SQRT_HALF_BITS
#undef TWO_TO_MANTISSA
#undef ROUNDER
#undef LN2_HI
#undef LN2_LO
#undef LN2
#undef LN2_LOST
#undef EXP_LOWEST
#undef EXP_HIGHEST
#undef EXPM1_LOWEST
#undef TANH_IS_ONE
#undef TINY
#undef SIGMOID_IS_ONE
#undef MIN_NORMAL
