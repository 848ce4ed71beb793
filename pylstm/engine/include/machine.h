/* The operations of the expression machine (pylstm/engine/machine.pyx) as loops over blocks of rows.

   machine_ops.h is the table, one line per operation; machine_template.h makes the loops, once per element type. An
   operand is a block of the cell, a register or a constant: where row 0 starts, and the step to the next row. Functions
   across the units of a row are those of rows.h. */
#ifndef PYLSTM_MACHINE_H
#define PYLSTM_MACHINE_H

#include <stddef.h>
#include "pylstm/math.h"
#include "pylstm/rows.h"

typedef struct {
    char *data;
    ptrdiff_t stride;
    ptrdiff_t width; /* of whole rows: where units of a row meet */
    int compact; /* the rows follow one another, or all are the same (a constant) */
} pylstm_operand;

/* One instruction: what to run, and the numbers of its result and operands. */
typedef struct pylstm_code pylstm_code;
typedef void (*pylstm_op)(const pylstm_operand *o, const pylstm_code *i, ptrdiff_t rows, ptrdiff_t width);
struct pylstm_code {
    pylstm_op run;
    int d, a, b, c, e;
    int across;       /* units of a row meet: whole rows, whose widths are those of the operands */
    ptrdiff_t groups; /* then */
};

/* The result may be one of the operands, element for element: that is no dependence from one iteration to another, but
   `restrict` would be wrong, and without a word the compiler's own check would send such calls to a scalar loop. */
#if defined(__clang__)
#define PYLSTM_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define PYLSTM_INDEPENDENT _Pragma("GCC ivdep")
#else
#define PYLSTM_INDEPENDENT
#endif

#define REAL float
#define MATH(name) pylstm_##name##f
#define TYPED(name) pylstm_op_##name##_float32
#include "machine_template.h"

#define REAL double
#define MATH(name) pylstm_##name
#define TYPED(name) pylstm_op_##name##_float64
#include "machine_template.h"

/* `set` writes the result, `add` adds to it; null where there is no such form. Index 0: float32, 1: float64. */
typedef struct {
    const char *name;
    int operands;
    pylstm_op set[2], add[2];
    int across;
} pylstm_opcode;

#define BOTH(name) {pylstm_op_##name##_float32, pylstm_op_##name##_float64}
#define OP(name, operands, expression) {#name, operands, BOTH(set_##name), BOTH(add_##name), 0},
#define COSTLY(name, operands, expression) {#name, operands, BOTH(set_##name), {NULL, NULL}, 0},
#define ACROSS(name, function) {#name, 1, BOTH(set_##name), {NULL, NULL}, 1},
#define ACROSS2(name, function, which) {#name, 2, BOTH(set_##name), {NULL, NULL}, 1},
static const pylstm_opcode pylstm_opcodes[] = {
#include "machine_ops.h"
    {"fill", 1, BOTH(set_fill), {NULL, NULL}, 0},
    {"row_sum", 1, {NULL, NULL}, BOTH(add_row_sum), 0},
};
#undef OP
#undef COSTLY
#undef ACROSS
#undef ACROSS2
#undef BOTH
enum { PYLSTM_OPCODES = sizeof pylstm_opcodes / sizeof *pylstm_opcodes };

#endif
