/* Functions across the units of one row, for C kernels and for the expression machine. Vendorable, with math.h.

   A row of `from` units becomes one of `to` units. It falls into groups of consecutive units, each with a result of its
   own; where no number of groups is given, there are as many as units in the shorter of the two rows. Result and operand
   do not overlap. Every sum is formed in one order, whatever the level. `pylstm_row_sum` takes double, `pylstm_row_sumf`
   float. */
#ifndef PYLSTM_ROWS_H
#define PYLSTM_ROWS_H

#include <stddef.h>
#include "pylstm/math.h"

#define REAL float
#define ROW(name) pylstm_##name##f
#define MATH(name) pylstm_##name##f
#include "pylstm/rows_template.h"
#undef REAL
#undef ROW
#undef MATH
#define REAL double
#define ROW(name) pylstm_##name
#define MATH(name) pylstm_##name
#include "pylstm/rows_template.h"
#undef REAL
#undef ROW
#undef MATH

#endif
