#include "api/tensors.h"

#include "api/score_body.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct tensors tensors_of(const struct serve_ref *ref, uint64_t max_picture_bytes)
{
    const struct classifier *c = serve_ref_classifier(ref);
    return (struct tensors){ .input = classifier_input(c),
                             .output = classifier_output(c),
                             .size = classifier_preprocess(c)->size,
                             .classes = classifier_classes(c),
                             .max_picture_bytes = max_picture_bytes };
}

size_t tensors_input_bytes(const struct tensors *t)
{
    return (size_t)t->size * (size_t)t->size * 3 * sizeof(float);
}

struct taking {
    struct buf *out; /* room for all was made */
    const char *what;
    struct err *e;
};

static enum err_code take_number(const struct taking *t, const json_t *number)
{
    float x = json_is_number(number) ? (float)json_number_value(number) : NAN;
    if (!isfinite(x))
        return err_set(t->e, ERR_TENSOR_DATA, "%s holds something that is not a number of float32",
                       t->what);
    memcpy(t->out->data + t->out->len, &x, sizeof x);
    t->out->len += sizeof x;
    return ERR_OK;
}

/* Depth: no more than the shape's rank. */
static enum err_code take_list(const struct taking *t, const json_t *list, const int64_t *shape,
                               int rank, bool flat)
{
    if (rank == 0)
        return take_number(t, list);
    size_t want = (size_t)shape[0];
    for (int i = 1; flat && i < rank; i++)
        want *= (size_t)shape[i];
    if (!json_is_array(list) || json_array_size(list) != want)
        return err_set(t->e, ERR_TENSOR_SHAPE, "%s: a list of %zu is expected where there is %s%zu",
                       t->what, want,
                       json_is_array(list) ? "one of " : "none: ", json_array_size(list));
    enum err_code r = ERR_OK;
    for (size_t i = 0; !r && i < want; i++)
        r = take_list(t, json_array_get(list, i), shape + 1, flat ? 0 : rank - 1, false);
    return r;
}

enum err_code tensors_floats(const json_t *list, const int64_t *shape, int rank, const char *what,
                             struct buf *ret, struct err *e)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)shape[i];
    if (count > TENSORS_JSON_VALUES)
        return err_set(e, ERR_JSON_VALUES,
                       "%s: %zu numbers are more than the limit of %d in JSON; send them binary",
                       what, count, TENSORS_JSON_VALUES);
    enum err_code r = buf_reserve(ret, count * sizeof(float), e);
    if (r)
        return r;
    const struct taking t = { .out = ret, .what = what, .e = e };
    size_t before = ret->len;
    r = take_list(&t, list, shape, rank, json_is_number(json_array_get(list, 0)));
    if (r)
        ret->len = before;
    buf_terminate(ret);
    return r;
}

enum err_code tensors_picture_size(const struct tensors *t, size_t len, struct err *e)
{
    if (len > t->max_picture_bytes)
        return err_set(e, ERR_PICTURE_BYTES,
                       "a picture of %zu bytes is more than the limit of %" PRIu64, len,
                       t->max_picture_bytes);
    return ERR_OK;
}

enum err_code tensors_picture(const struct tensors *t, const json_t *text, const char *what,
                              struct buf *ret, struct err *e)
{
    if (!json_is_string(text))
        return err_set(e, ERR_TENSOR_DATA, "%s must be a picture in base64", what);
    size_t before = ret->len;
    enum err_code r = score_body_base64(json_string_value(text), what, ret, e);
    return r ? r : tensors_picture_size(t, ret->len - before, e);
}
