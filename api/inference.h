/* inference.h -- what the serving protocols' routes have in common: the version that a path names,
 * and bodies that may be packed.
 * Threads: as the handlers that call it. */
#ifndef KENNEL_INFERENCE_H
#define KENNEL_INFERENCE_H

#include "api/request.h"
#include "daemon/serve.h"

/* Of the path's {v}, or of the alias in its {l}; 0 without either: production. */
enum err_code inference_version(const struct request *r, int64_t *ret, struct err *e) MUST_USE;
/* That version of the path's {m}, borrowed. Errors as serve_borrow(). */
enum err_code inference_borrow(struct request *r, struct serve_ref **ret, struct err *e) MUST_USE;
/* The beginning of a score: the version that is to answer, borrowed
 * (version_choice_borrow()); r->body becomes what it is packed from, at most as large as a body may
 * be that is not. *ret NULL with ERR_OK: a task thread will call the handler again. ERR_MEDIA_TYPE,
 * ERR_BODY_CODING, ERR_BODY_BOMB. */
enum err_code inference_begin(struct request *r, struct serve_ref **ret, struct err *e) MUST_USE;
/* Packs the reply's body, where the client takes one of the codings. */
enum err_code inference_pack(struct request *r, struct err *e) MUST_USE;

#endif
