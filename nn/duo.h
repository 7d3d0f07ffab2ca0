/* duo.h -- a second thread that takes a share of a run when it can.
 *
 * The owner offers one piece of work at a time, does its own share, and then either takes the
 * offer back, when the companion has not begun with it, or waits for its end. So a companion that
 * does not get a core costs nothing but the offer. Both look for a few microseconds whether the
 * other one is there yet and then sleep in the kernel: nothing waits by spinning. Threads: all
 * functions from one thread at a time, the owner's. */
#ifndef KENNEL_DUO_H
#define KENNEL_DUO_H

#include "data/base/err.h"

struct duo;

/* share does piece number `piece` of context; it runs on the companion or within duo_finish(). */
enum err_code duo_new(void (*share)(void *context, int piece), void *context, struct duo **ret,
                      struct err *e) MUST_USE;
/* Joins the companion. NULL is fine. */
void duo_free(struct duo *d);

void duo_offer(struct duo *d, int piece);
/* Returns when the offered piece is done. */
void duo_finish(struct duo *d);

#endif
