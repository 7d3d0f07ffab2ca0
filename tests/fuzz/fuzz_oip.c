/* An inference request of the Open Inference Protocol: a line that is the content coding, a line
 * that is the Inference-Header-Content-Length, then the body. Whatever is taken lies within the
 * body, fits the model, and counts up. */
#include "api/content_coding.h"
#include "api/oip_request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE = 64, PLAIN_MAX = 1 << 16 };

static const struct tensors model = {
    .input = "input", .output = "probabilities", .size = 2, .classes = 3, .max_picture_bytes = 1000
};

static const uint8_t *take_line(const uint8_t **at, const uint8_t *end, char ret[LINE])
{
    const uint8_t *stop = *at == end ? NULL : memchr(*at, '\n', (size_t)(end - *at));
    size_t len = stop ? (size_t)(stop - *at) : LINE;
    if (len >= LINE)
        return NULL;
    memcpy(ret, *at, len);
    ret[len] = 0;
    *at = stop + 1;
    return stop;
}

static bool within(const void *bytes, size_t len, const void *from, size_t size)
{
    uintptr_t a = (uintptr_t)bytes, b = (uintptr_t)from;
    return a >= b && a - b <= size && len <= size - (a - b);
}

static void check(const struct oip_request *q, const uint8_t *body, size_t len)
{
    unsigned sum = 0;
    if (q->count < 1 || q->count > SCORE_BATCH_MAX || q->output_count < 1 ||
        q->output_count > OIP_OUTPUTS || oip_request_top(q) > OIP_CLASSIFICATION_MAX ||
        q->timeout_us < 0)
        abort();
    for (int i = 0; i < q->count; i++) {
        const struct score_item *item = &q->items[i];
        const uint8_t *bytes = item->bytes;
        if (!within(bytes, item->len, body, len) &&
            !within(bytes, item->len, q->own.data, q->own.len))
            abort();
        if (item->input == SCORE_TENSOR ? item->len != tensors_input_bytes(&model)
                                        : item->len > model.max_picture_bytes)
            abort();
        for (size_t k = 0; k < item->len; k++)
            sum += bytes[k];
    }
    if (sum == UINT32_MAX)
        abort();
}

static void read_request(const uint8_t *body, size_t len, const char *header)
{
    struct oip_request q;
    struct err e = { 0 };
    if (oip_request_read(&model, body, len, header, &q, &e) == ERR_OK) {
        check(&q, body, len);
        oip_request_fini(&q);
    } else if (!e.code || !e.message[0] || err_is_fault(e.code)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char coding_text[LINE], header[LINE];
    const uint8_t *at = data, *end = data + size;
    enum content_coding coding;
    if (!take_line(&at, end, coding_text) || !take_line(&at, end, header) ||
        content_coding_read(coding_text, &coding, NULL) != ERR_OK)
        return 0;
    (void)content_coding_accepted(header);
    size_t len = (size_t)(end - at);
    if (coding == CODING_NONE) {
        read_request(at, len, header);
        return 0;
    }
    struct buf plain;
    buf_init(&plain, PLAIN_MAX);
    if (content_unpack(coding, at, len, &plain, NULL) == ERR_OK) {
        if (plain.len > PLAIN_MAX)
            abort();
        read_request(plain.data, plain.len, header);
    }
    buf_fini(&plain);
    return 0;
}
