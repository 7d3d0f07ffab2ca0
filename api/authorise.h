/* authorise.h -- may this caller use this route?
 * Threads: as the request's. */
#ifndef KENNEL_AUTHORISE_H
#define KENNEL_AUTHORISE_H

#include "api/request.h"

/* The key stands in `Authorization: Bearer KEY`. Sets who and role of the request. ERR_KEY_MISSING,
 * ERR_KEY_INVALID, ERR_ROLE, ERR_RATE. A key on a public route is not looked at. ERR_ORIGIN:
 * without keys, a change that a page of another site had a browser send. */
enum err_code authorise(struct request *r, struct err *e) MUST_USE;

#endif
