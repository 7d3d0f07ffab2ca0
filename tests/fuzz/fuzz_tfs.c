/* Any bytes as the body of TensorFlow Serving's :predict. Whatever is taken lies within the
 * request's own memory, fits the model, and counts up. */
#include "api/tfs_request.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tensors model = {
    .input = "input", .output = "probabilities", .size = 2, .classes = 3, .max_picture_bytes = 1000
};

static void check(const struct tfs_request *q)
{
    size_t end = 0;
    if (q->count < 1 || q->count > SCORE_BATCH_MAX)
        abort();
    for (int i = 0; i < q->count; i++) {
        const struct score_item *item = &q->items[i];
        if ((const uint8_t *)item->bytes != q->own.data + end || item->input != q->items[0].input)
            abort();
        end += item->len;
        if (item->input == SCORE_TENSOR ? item->len != tensors_input_bytes(&model)
                                        : item->len > model.max_picture_bytes)
            abort();
    }
    if (end != q->own.len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tfs_request q;
    struct err e = { 0 };
    if (tfs_request_read(&model, data, size, &q, &e) == ERR_OK) {
        check(&q);
        tfs_request_fini(&q);
    } else if (!e.code || !e.message[0] || err_is_fault(e.code)) {
        abort();
    }
    return 0;
}
