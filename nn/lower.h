/* lower.h -- what the files that make steps of nodes share.
 *
 * lower.c says which file has which operator. A function leaves p as it is, STEP_PLAIN, where the
 * operator's form has nothing better. Threads: one owner of the steps. */
#ifndef KENNEL_LOWER_H
#define KENNEL_LOWER_H

#include "nn/steps.h"

/* The step reads the node's first inputs. */
void lower_inputs(struct step *p, const struct node *n, int count);

enum err_code lower_slice(struct step *p, const struct op_call *c, struct err *e) MUST_USE;
enum err_code lower_pad(struct step *p, const struct op_call *c, struct err *e) MUST_USE;
void lower_split(struct step *p, const struct op_call *c);

#endif
