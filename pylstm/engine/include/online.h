/* The loops of pylstm/engine/influence.pxd over the parameters of one row, for float and double.
 *
 * Registers of eight numbers whatever the instruction set, and sums in one order: the same bits on every machine. */
#ifndef PYLSTM_ONLINE_H
#define PYLSTM_ONLINE_H

#include <stddef.h>

enum { PYLSTM_ONLINE_STATES = 16 };

#define PYLSTM_ONLINE(T, F)                                                                                            \
    typedef T online_eight##F __attribute__((vector_size(8 * sizeof(T)), aligned(sizeof(T)), may_alias));              \
    /* y += c x */                                                                                                     \
    static inline void pylstm_online_add##F(T *y, T c, const T *x, ptrdiff_t n) {                                      \
        ptrdiff_t i = 0;                                                                                               \
        for (; i + 8 <= n; i += 8) *(online_eight##F *)(y + i) += c * *(const online_eight##F *)(x + i);               \
        for (; i < n; i++) y[i] += c * x[i];                                                                           \
    }                                                                                                                  \
    /* y[n] += W[n] . a: eight partial sums of every row, added by halves */                                           \
    static inline void pylstm_online_dots##F(T *y, const T *W, ptrdiff_t stride, ptrdiff_t N, const T *a,              \
                                             ptrdiff_t K) {                                                            \
        for (ptrdiff_t n = 0; n < N; n++, W += stride) {                                                               \
            online_eight##F part = {0};                                                                                \
            T four[4], rest = 0;                                                                                       \
            ptrdiff_t i = 0;                                                                                           \
            for (; i + 8 <= K; i += 8) part += *(const online_eight##F *)(W + i) * *(const online_eight##F *)(a + i);  \
            for (; i < K; i++) rest += W[i] * a[i];                                                                    \
            for (int j = 0; j < 4; j++) four[j] = part[j] + part[j + 4];                                               \
            y[n] += (four[0] + four[2]) + (four[1] + four[3]) + rest;                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    /* Y[n] += c[n] X[n] */                                                                                            \
    static inline void pylstm_online_rows##F(T *Y, ptrdiff_t ystride, const T *c, const T *X, ptrdiff_t xstride,       \
                                             ptrdiff_t N, ptrdiff_t K) {                                               \
        if (K == 1 && ystride == 1) {                                                                                  \
            for (ptrdiff_t n = 0; n < N; n++) Y[n] += c[n] * X[n * xstride];                                           \
            return;                                                                                                    \
        }                                                                                                              \
        for (ptrdiff_t n = 0; n < N; n++) pylstm_online_add##F(Y + n * ystride, c[n], X + n * xstride, K);             \
    }                                                                                                                  \
    /* y += sum over n of c[n] X[n], in four partial sums: every fourth row */                                         \
    static inline void pylstm_online_sum##F(T *y, const T *c, const T *X, ptrdiff_t stride, ptrdiff_t N,               \
                                            ptrdiff_t K) {                                                             \
        ptrdiff_t i = 0;                                                                                               \
        for (; i + 8 <= K; i += 8) {                                                                                   \
            online_eight##F part[4] = {{0}, {0}, {0}, {0}};                                                            \
            ptrdiff_t n = 0;                                                                                           \
            for (; n + 4 <= N; n += 4)                                                                                 \
                for (int j = 0; j < 4; j++) part[j] += c[n + j] * *(const online_eight##F *)(X + (n + j) * stride + i);\
            for (; n < N; n++) part[n & 3] += c[n] * *(const online_eight##F *)(X + n * stride + i);                   \
            *(online_eight##F *)(y + i) += (part[0] + part[2]) + (part[1] + part[3]);                                  \
        }                                                                                                              \
        for (; i < K; i++) {                                                                                           \
            T part[4] = {0};                                                                                           \
            for (ptrdiff_t n = 0; n < N; n++) part[n & 3] += c[n] * X[n * stride + i];                                 \
            y[i] += (part[0] + part[2]) + (part[1] + part[3]);                                                         \
        }                                                                                                              \
    }                                                                                                                  \
    /* E[s] = sum over r of A[s, r] E[r], + D[s] a: of one unit with S states, E[s] at distance P, D[s] at distance d */\
    static inline void pylstm_online_move##F(T *E, ptrdiff_t P, int S, const T *A, const T *D, ptrdiff_t d,            \
                                             const T *a, ptrdiff_t n) {                                                \
        ptrdiff_t i = 0;                                                                                               \
        if (S == 1) {                                                                                                  \
            for (; i + 8 <= n; i += 8)                                                                                 \
                *(online_eight##F *)(E + i) =                                                                          \
                    A[0] * *(online_eight##F *)(E + i) + D[0] * *(const online_eight##F *)(a + i);                     \
            for (; i < n; i++) E[i] = A[0] * E[i] + D[0] * a[i];                                                       \
            return;                                                                                                    \
        }                                                                                                              \
        if (S == 2) {                                                                                                  \
            for (; i + 8 <= n; i += 8) {                                                                               \
                const online_eight##F e = *(online_eight##F *)(E + i), f = *(online_eight##F *)(E + P + i);            \
                const online_eight##F with = *(const online_eight##F *)(a + i);                                        \
                *(online_eight##F *)(E + i) = D[0] * with + A[0] * e + A[1] * f;                                       \
                *(online_eight##F *)(E + P + i) = D[d] * with + A[2] * e + A[3] * f;                                   \
            }                                                                                                          \
        }                                                                                                              \
        for (; i + 8 <= n; i += 8) {                                                                                   \
            online_eight##F e[PYLSTM_ONLINE_STATES], sum, with = *(const online_eight##F *)(a + i);                    \
            for (int s = 0; s < S; s++) e[s] = *(online_eight##F *)(E + s * P + i);                                    \
            for (int s = 0; s < S; s++) {                                                                              \
                sum = D[s * d] * with;                                                                                 \
                for (int r = 0; r < S; r++) sum += A[s * S + r] * e[r];                                                \
                *(online_eight##F *)(E + s * P + i) = sum;                                                             \
            }                                                                                                          \
        }                                                                                                              \
        for (; i < n; i++) {                                                                                           \
            T e[PYLSTM_ONLINE_STATES];                                                                                 \
            for (int s = 0; s < S; s++) e[s] = E[s * P + i];                                                           \
            for (int s = 0; s < S; s++) {                                                                              \
                T sum = D[s * d] * a[i];                                                                               \
                for (int r = 0; r < S; r++) sum += A[s * S + r] * e[r];                                                \
                E[s * P + i] = sum;                                                                                    \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    /* the same of N rows: row n of E at n * stride, its A at n * astep, its D at n, its a at n * step */              \
    static inline void pylstm_online_moves##F(T *E, ptrdiff_t P, ptrdiff_t stride, int S, const T *A, ptrdiff_t astep, \
                                              const T *D, ptrdiff_t d, const T *a, ptrdiff_t step, ptrdiff_t N,        \
                                              ptrdiff_t K) {                                                           \
        if (S == 1 && K == 1 && stride == 1 && astep == 1) {                                                           \
            for (ptrdiff_t n = 0; n < N; n++) E[n] = A[n] * E[n] + D[n] * a[n * step];                                 \
            return;                                                                                                    \
        }                                                                                                              \
        for (ptrdiff_t n = 0; n < N; n++)                                                                              \
            pylstm_online_move##F(E + n * stride, P, S, A + n * astep, D + n, d, a + n * step, K);                     \
    }

PYLSTM_ONLINE(float, f)
PYLSTM_ONLINE(double, )
#undef PYLSTM_ONLINE

#endif
