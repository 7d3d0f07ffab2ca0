/* oip_reply.h -- an inference response of the Open Inference Protocol v2.
 *
 * Probabilities in JSON are the shortest decimals that give back the float32; in binary they are
 * the float32. A class as text is VALUE:INDEX:LABEL.
 * Threads: any; pure functions. */
#ifndef KENNEL_OIP_REPLY_H
#define KENNEL_OIP_REPLY_H

#include "api/oip_request.h"
#include "api/reply.h"

/* Fills the reply: the JSON, then the outputs that were asked for in binary. */
enum err_code oip_reply_write(const struct oip_request *q, const struct score_batch *b,
                              struct reply *ret, struct err *e) MUST_USE;

#endif
