/* The loops of pylstm/engine/online.pyx over the parameters of one row, for float and double. */
#ifndef PYLSTM_ONLINE_H
#define PYLSTM_ONLINE_H

#include <stddef.h>

enum { PYLSTM_ONLINE_STATES = 16, PYLSTM_ONLINE_LANES = 16 };

#define PYLSTM_ONLINE(T, F)                                                                                            \
    /* sum of a b, in so many partial sums whatever the instruction set */                                             \
    static inline T pylstm_online_dot##F(const T *restrict a, const T *restrict b, ptrdiff_t n) {                      \
        T part[PYLSTM_ONLINE_LANES] = {0}, sum = 0;                                                                    \
        ptrdiff_t i = 0;                                                                                               \
        for (; i + PYLSTM_ONLINE_LANES <= n; i += PYLSTM_ONLINE_LANES)                                                 \
            for (int j = 0; j < PYLSTM_ONLINE_LANES; j++) part[j] += a[i + j] * b[i + j];                              \
        for (; i < n; i++) sum += a[i] * b[i];                                                                         \
        for (int j = 0; j < PYLSTM_ONLINE_LANES; j++) sum += part[j];                                                  \
        return sum;                                                                                                    \
    }                                                                                                                  \
    /* y += a x */                                                                                                     \
    static inline void pylstm_online_add##F(T *restrict y, T a, const T *restrict x, ptrdiff_t n) {                    \
        for (ptrdiff_t i = 0; i < n; i++) y[i] += a * x[i];                                                            \
    }                                                                                                                  \
    /* E[s] = sum over r of A[s, r] E[r], + D[s] a: of one unit with S states, E[s] at distance P */                    \
    static inline void pylstm_online_move##F(T *restrict E, ptrdiff_t P, int S, const T *A, const T *D,                \
                                             const T *restrict a, ptrdiff_t n) {                                       \
        if (S == 1) {                                                                                                  \
            for (ptrdiff_t i = 0; i < n; i++) E[i] = A[0] * E[i] + D[0] * a[i];                                        \
        } else if (S == 2) {                                                                                           \
            T *restrict F0 = E, *restrict F1 = E + P;                                                                  \
            for (ptrdiff_t i = 0; i < n; i++) {                                                                        \
                T e = F0[i], f = F1[i];                                                                                \
                F0[i] = A[0] * e + A[1] * f + D[0] * a[i];                                                             \
                F1[i] = A[2] * e + A[3] * f + D[1] * a[i];                                                             \
            }                                                                                                          \
        } else {                                                                                                       \
            for (ptrdiff_t i = 0; i < n; i++) {                                                                        \
                T e[PYLSTM_ONLINE_STATES];                                                                             \
                for (int s = 0; s < S; s++) e[s] = E[s * P + i];                                                       \
                for (int s = 0; s < S; s++) {                                                                          \
                    T sum = D[s] * a[i];                                                                               \
                    for (int r = 0; r < S; r++) sum += A[s * S + r] * e[r];                                            \
                    E[s * P + i] = sum;                                                                                \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

PYLSTM_ONLINE(float, f)
PYLSTM_ONLINE(double, )
#undef PYLSTM_ONLINE

#endif
