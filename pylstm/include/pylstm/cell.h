/* The C contract between the time loop and the row hooks of a cell. Vendorable: this one header, no dependency.

   A cell is some named blocks and, for each of its stages, two row hooks: forward, and backward (the local
   derivatives). The hooks see rows, never time: the loop calls them once per stage and step, for a block of batch
   rows. Sizes and strides count elements.

   forward, stage j                                                                     who owns it   on the tape
     gates      IN+OUT  pre-activations of ALL gates; those of this stage are complete. Overwrite each of them
                        by what backward wants to find there (by convention: the activated gate).   loop   yes
     prev       IN      previous states                                                             loop   yes
     emissions  IN      those of earlier stages
                OUT     those of this stage                                                         loop   yes
     keep       OUT     values only kept for backward (tanh(c), say)                                loop   yes
     states     OUT     new states, in the LAST stage only: every element must be written           loop   yes
     params     IN      per-unit parameters: stride 0, the same row for every b                     loop   yes
     aux        IN      per-step inputs that are not projected                                      caller yes

   backward, stage j: all of the above are IN, and
     dstates    IN      full cotangents of the new states, in the last stage only (do not read before)
     demissions IN      full cotangents of this stage's emissions
                ADD     to those of earlier stages' emissions
     dgates     OUT     cotangents of the pre-activations of this stage's gates: every element must be written
     dprev      ADD     direct paths to the previous states (the loop adds the recurrent products)
     dparams    ADD     stride 0: one accumulator for all rows
     daux       ADD

   No two blocks overlap, so `restrict` is safe on every one of them. In forward the d-arrays are null.
   A hook cannot fail, must not call Python unless it takes the GIL itself, and keeps rows apart: what it writes for
   row b depends on row b alone, in the same order of operations whatever the number of rows. */
#ifndef PYLSTM_CELL_H
#define PYLSTM_CELL_H

#include <stddef.h>

#define PYLSTM_CELL_ABI 1
#define PYLSTM_CELL_CAPSULE "pylstm.cell.v1"

/* Row b of a block starts at (float or double *) data + b * stride and holds width elements. */
typedef struct {
    void *data;
    ptrdiff_t stride;
    ptrdiff_t width;
} pylstm_block;

/* One array of blocks per kind, in the order in which the cell declares the names. */
typedef struct {
    ptrdiff_t rows;
    const pylstm_block *gates, *prev, *emissions, *keep, *states, *params, *aux;
    const pylstm_block *dgates, *dprev, *demissions, *dstates, *dparams, *daux;
} pylstm_rows;

/* `user` is the pointer that the stage gave; compiled kernels have no use for it. */
typedef void (*pylstm_hook)(const pylstm_rows *rows, void *user);

typedef struct {
    pylstm_hook forward, backward;
    void *user;
} pylstm_stage;

/* What the capsule PYLSTM_CELL_CAPSULE points to. The counts are compared with the declaration of the cell. The
   struct and all it points to must live as long as the capsule. */
typedef struct {
    size_t abi;                            /* PYLSTM_CELL_ABI when the kernel was compiled */
    size_t size;                           /* sizeof(pylstm_cell), likewise */
    const char *name;
    ptrdiff_t stages, gates, states, emissions, keep, params, aux;
    const pylstm_stage *float32, *float64; /* one entry per stage; null: dtype not offered */
} pylstm_cell;

#endif
