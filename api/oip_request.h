/* oip_request.h -- an inference request of the Open Inference Protocol v2: JSON, and binary tensors
 * behind it (its binary tensor data, classification and parameters extensions).
 *
 *   body = JSON [ binary tensor ]           one input: Inference-Header-Content-Length ends the
 * JSON FP32 [N,3,S,S]   little-endian, row major BYTES [N], [N,1] N times: u32 little-endian
 * length, bytes
 *
 * In JSON a BYTES element is text, which no picture can be: it is taken as base64.
 * Threads: one owner. */
#ifndef KENNEL_OIP_REQUEST_H
#define KENNEL_OIP_REQUEST_H

#include "api/score_batch.h"
#include "api/tensors.h"

enum { OIP_OUTPUTS = 4, OIP_ID = 1024, OIP_CLASSIFICATION_MAX = 10000 };

struct oip_output {
    int classification; /* the best so many as text; 0: the probabilities */
    bool binary;
};

struct oip_request {
    char *id; /* owned; NULL: none */
    struct oip_output outputs[OIP_OUTPUTS];
    int output_count;
    int64_t timeout_us;                       /* 0: none */
    struct score_item items[SCORE_BATCH_MAX]; /* into the body, or into own */
    int count;
    struct buf own;
};

/* header_length: the header's text, "" when there was none. The body is borrowed by *ret, which
 * goes to _fini() after success. ERR_JSON_*, ERR_FIELD_*, ERR_TENSOR_*, ERR_BATCH_TOO_LARGE,
 * ERR_PICTURE_BYTES, ERR_BASE64_SYNTAX. */
enum err_code oip_request_read(const struct tensors *t, const uint8_t *body, size_t len,
                               const char *header_length, struct oip_request *ret, struct err *e)
    MUST_USE;
void oip_request_fini(struct oip_request *q);

/* The most that a request ranks; 0: none. */
int oip_request_top(const struct oip_request *q);

#endif
