/* weights.h -- parameters in the layouts of their primitives, shared by the plans of one network.
 *
 * What two plans want in the same layout stands in memory once, whatever output, batch or threads
 * they are made for. Equal is what has the same length, the same layouts and the same 128 bits of a
 * hash over its numbers; a network that is made to collide spoils its own answers only. A piece
 * lives until the network and all its plans are gone.
 * Threads: any; made under the table's lock, read without. */
#ifndef KENNEL_WEIGHTS_H
#define KENNEL_WEIGHTS_H

#include "nn/dnn.h"

#include <stddef.h>

struct weights;

enum err_code weights_new(struct weights **ret, struct err *e) MUST_USE;
struct weights *weights_ref(struct weights *w);
/* NULL is fine. */
void weights_unref(struct weights *w);

/* Writes the numbers where they shall stand. */
typedef enum err_code weights_fill(void *context, void *room, struct err *e);

/* The place (aligned, `bytes` long, borrowed) of data[0..len), which lies as `from`, in the layout
 * `to`; NULL and NULL: as it is. fill is called when it is not there yet. ERR_NOMEM, and what fill
 * returns. */
enum err_code weights_share(struct weights *w, const void *data, size_t len,
                            const struct dnn_layout *from, const struct dnn_layout *to,
                            size_t bytes, weights_fill *fill, void *context, void **ret,
                            struct err *e) MUST_USE;
/* Bytes that stand in the table. */
size_t weights_bytes(struct weights *w);

/* Bytes that begin at a page, at a large one when there are enough; NULL without memory, freed by
 * free(). */
void *weights_pages(size_t bytes);

#endif
