/* score_reply.h -- a prediction as text, for the workshop's clients and for ours.
 * Threads: any; pure functions. */
#ifndef KENNEL_SCORE_REPLY_H
#define KENNEL_SCORE_REPLY_H

#include "daemon/scorer.h"
#include "data/base/buf.h"

enum { FLOAT_TEXT = 40 };

/* The shortest decimal that gives back the float32, in the form of NumPy's str(float32):
 * 0.5147553, 1.0, 1e-05. Also valid JSON for every finite x. */
void float_text(float x, char ret[FLOAT_TEXT]);

/* Appends text as a JSON string in ASCII, as Python's json.dumps() writes it (RFC 8259; beyond the
 * BMP: surrogate pairs, lower-case hexadecimal). Bytes that are not UTF-8 become U+FFFD. */
enum err_code json_ascii(const char *text, struct buf *ret, struct err *e) MUST_USE;

/* A JSON string that holds JSON: "{\"label\": \"beagle\", \"probability\": \"0.5147553\"}" */
enum err_code score_reply_workshop(const struct prediction *p, struct buf *ret, struct err *e)
    MUST_USE;

/* {"model":"breeds","version":1,"prediction_id":ID,"predictions":[{"label":..,"probability":..}..]}
 */
enum err_code score_reply_predictions(const struct score_result *result, const char *prediction_id,
                                      struct buf *ret, struct err *e) MUST_USE;

#endif
