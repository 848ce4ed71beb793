/* The loops of every operation for one element type: REAL, MATH(name) of math.h, TYPED(name). See machine.h. */

/* d op= expression, over rows x width. One pass over rows * width elements where all rows follow one another. */
#define LOOP(name, operands, expression, assign)                                                                       \
    static void TYPED(name)(const pylstm_operand *o, const pylstm_code *i, ptrdiff_t rows, ptrdiff_t width) {          \
        const pylstm_operand *const od = o + i->d, *const oa = o + i->a, *const ob = o + i->b;                         \
        const pylstm_operand *const oc = o + i->c, *const oe = o + i->e;                                               \
        REAL *D = (REAL *)od->data;                                                                                    \
        const REAL *A = (const REAL *)oa->data, *B = (const REAL *)ob->data;                                           \
        const REAL *C = (const REAL *)oc->data, *E = (const REAL *)oe->data;                                           \
        if (od->compact & oa->compact & (operands < 2 || ob->compact) & (operands < 3 || oc->compact)                  \
            & (operands < 4 || oe->compact)) {                                                                         \
            width *= rows;                                                                                             \
            rows = 1;                                                                                                  \
        }                                                                                                              \
        for (;;) {                                                                                                     \
            PYLSTM_INDEPENDENT                                                                                         \
            for (ptrdiff_t k = 0; k < width; k++) {                                                                    \
                const REAL a = A[k], b = operands > 1 ? B[k] : 0, c = operands > 2 ? C[k] : 0;                         \
                const REAL e = operands > 3 ? E[k] : 0;                                                                \
                (void)b, (void)c, (void)e;                                                                             \
                D[k] assign (expression);                                                                              \
            }                                                                                                          \
            if (--rows == 0)                                                                                           \
                return;                                                                                                \
            D += od->stride, A += oa->stride, B += ob->stride, C += oc->stride, E += oe->stride;                       \
        }                                                                                                              \
    }

#define OP(name, operands, expression)                                                                                 \
    LOOP(set_##name, operands, expression, =)                                                                          \
    LOOP(add_##name, operands, expression, +=)
#define COSTLY(name, operands, expression) LOOP(set_##name, operands, expression, =)
#define ACROSS(name, function)                                                                                         \
    static void TYPED(set_##name)(const pylstm_operand *o, const pylstm_code *i, ptrdiff_t rows, ptrdiff_t width) {    \
        const pylstm_operand *const d = o + i->d, *const a = o + i->a;                                                 \
        (void)width;                                                                                                   \
        for (ptrdiff_t r = 0; r < rows; r++)                                                                           \
            MATH(function)((REAL *)d->data + r * d->stride, (const REAL *)a->data + r * a->stride, d->width, a->width, \
                           i->groups);                                                                                 \
    }
#define ACROSS2(name, function, which)                                                                                 \
    static void TYPED(set_##name)(const pylstm_operand *o, const pylstm_code *i, ptrdiff_t rows, ptrdiff_t width) {    \
        const pylstm_operand *const d = o + i->d, *const a = o + i->a, *const b = o + i->b;                            \
        (void)width;                                                                                                   \
        for (ptrdiff_t r = 0; r < rows; r++)                                                                           \
            MATH(function)((REAL *)d->data + r * d->stride, (const REAL *)a->data + r * a->stride,                     \
                           (const REAL *)b->data + r * b->stride, d->width, (which ? b : a)->width, i->groups);        \
    }
#include "machine_ops.h"
#undef OP
#undef COSTLY
#undef ACROSS
#undef ACROSS2
#undef LOOP

/* Between the two widths. fill: the one element of a row, repeated. */
static void TYPED(set_fill)(const pylstm_operand *o, const pylstm_code *i, ptrdiff_t rows, ptrdiff_t width) {
    for (ptrdiff_t r = 0; r < rows; r++) {
        REAL *D = (REAL *)o[i->d].data + r * o[i->d].stride;
        const REAL value = ((const REAL *)o[i->a].data)[r * o[i->a].stride];
        PYLSTM_INDEPENDENT
        for (ptrdiff_t k = 0; k < width; k++)
            D[k] = value;
    }
}

/* row_sum: what a piece of a row adds to the sum of the row. */
static void TYPED(add_row_sum)(const pylstm_operand *o, const pylstm_code *i, ptrdiff_t rows, ptrdiff_t width) {
    for (ptrdiff_t r = 0; r < rows; r++)
        ((REAL *)o[i->d].data)[r * o[i->d].stride] += MATH(sum_of)((const REAL *)o[i->a].data + r * o[i->a].stride, width);
}

#undef REAL
#undef MATH
#undef TYPED
