/* score_body.h -- the picture in the body of a score request.
 *
 * Either its bytes as they are, or JSON {"data": base64}. People pipe `base64 FILE` into curl, so
 * raw line breaks inside the JSON string are taken. Threads: any. */
#ifndef KENNEL_SCORE_BODY_H
#define KENNEL_SCORE_BODY_H

#include "api/request.h"

/* Sets *ret to the picture's bytes, which r owns (its body, or r->picture). ERR_BODY_MISSING,
 * ERR_JSON_*, ERR_FIELD_*, ERR_BASE64_SYNTAX, ERR_PICTURE_BYTES. */
enum err_code score_body_picture(struct request *r, const struct buf **ret, struct err *e) MUST_USE;

/* Appends the bytes that text stands for; what names it in errors. ERR_BODY_MISSING,
 * ERR_BASE64_SYNTAX. */
enum err_code score_body_base64(const char *text, const char *what, struct buf *ret, struct err *e)
    MUST_USE;

#endif
