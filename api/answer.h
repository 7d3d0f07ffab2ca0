/* answer.h -- a request's reply to libmicrohttpd.
 * Threads: the connection's HTTP thread. */
#ifndef KENNEL_ANSWER_H
#define KENNEL_ANSWER_H

#include "api/request.h"

#include <microhttpd.h>

/* Sends r->reply, which is there. */
enum MHD_Result answer(struct request *r);
/* Sends r->refusal. */
enum MHD_Result answer_refusal(struct request *r);

#endif
