/* cut.h -- where a network may be cut, so that one value stands for all that is before it.
 *
 * A cut is a value on which everything behind it depends and nothing else: what is before is
 * computed once a picture and kept, what is behind is trained.
 * Threads: any; no shared state. */
#ifndef KENNEL_CUT_H
#define KENNEL_CUT_H

#include "nn/network.h"

struct cut {
    const char *name; /* borrowed from the network */
    size_t floats;    /* of a picture */
    double share;     /* of the multiplications up to the feature that stand behind it */
};

/* What a cut may cost. */
struct cut_budget {
    double share;   /* behind it: a training step costs about three times that of a forward pass */
    int64_t bytes;  /* of its values, for all pictures and views */
    int64_t values; /* pictures times views */
};

/* The cut of that name; ERR_RECIPE when the value is none, saying what else would cross. For
 * "auto", of the cuts within the budget: those behind which stands at least half of the share, of
 * these the smallest, of these the first. Where there is none the first within the budget, else the
 * feature itself, behind which stands the head alone. */
enum err_code cut_choose(const struct network *n, const char *feature, const char *wanted,
                         const struct cut_budget *budget, struct cut *ret, struct err *e) MUST_USE;

#endif
