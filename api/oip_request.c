#include "api/oip_request.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { RANK_MAX = 8, WHAT = 48 };

struct reading {
    const struct tensors *tensors;
    const uint8_t *binary; /* behind the JSON */
    size_t binary_len;
    struct oip_request *q;
    struct err *e;
};

/* -- members: what the protocol does not name is passed over, as its extensions need -------------
 */

static enum err_code member(const json_t *object, const char *name, json_type type,
                            const char *type_text, json_t **ret, struct err *e)
{
    json_t *value = json_object_get(object, name);
    if (!value || json_is_null(value))
        return ERR_OK;
    bool boolean = type == JSON_TRUE && json_is_boolean(value);
    if (!boolean && json_typeof(value) != type)
        return err_set(e, ERR_JSON_TYPE, "\"%s\" must be %s", name, type_text);
    *ret = value;
    return ERR_OK;
}

static enum err_code text_member(const json_t *object, const char *name, const char **ret,
                                 struct err *e)
{
    json_t *value = NULL;
    enum err_code r = member(object, name, JSON_STRING, "a string", &value, e);
    if (!r && !value)
        return err_set(e, ERR_FIELD_MISSING, "\"%s\" is missing", name);
    if (!r)
        *ret = json_string_value(value);
    return r;
}

static enum err_code int_parameter(const json_t *parameters, const char *name, int64_t min,
                                   int64_t max, int64_t *ret, struct err *e)
{
    json_t *value = NULL;
    enum err_code r = member(parameters, name, JSON_INTEGER, "an integer", &value, e);
    if (r || !value)
        return r;
    if (json_integer_value(value) < min || json_integer_value(value) > max)
        return err_set(e, ERR_FIELD_RANGE,
                       "\"%s\" must be from %" PRId64 " to %" PRId64 ", is %" PRId64, name, min,
                       max, (int64_t)json_integer_value(value));
    *ret = json_integer_value(value);
    return ERR_OK;
}

static enum err_code bool_parameter(const json_t *parameters, const char *name, bool *ret,
                                    struct err *e)
{
    json_t *value = NULL;
    enum err_code r = member(parameters, name, JSON_TRUE, "true or false", &value, e);
    if (!r && value)
        *ret = json_is_true(value);
    return r;
}

static enum err_code parameters_of(const json_t *object, json_t **ret, struct err *e)
{
    enum err_code r = member(object, "parameters", JSON_OBJECT, "an object", ret, e);
    if (!r && json_object_get(*ret, "shared_memory_region"))
        return err_set(e, ERR_TENSOR_DATA, "shared memory is not supported");
    return r;
}

/* -- the input -----------------------------------------------------------------------------------
 */

static uint32_t little_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static enum err_code binary_pictures(const struct reading *g)
{
    const uint8_t *at = g->binary;
    size_t left = g->binary_len;
    for (int i = 0; i < g->q->count; i++) {
        uint32_t len = left >= 4 ? little_endian(at) : 0;
        if (left < 4 || len > left - 4)
            return err_set(g->e, ERR_TENSOR_DATA,
                           "element %d of %d does not end within the tensor's %zu bytes", i,
                           g->q->count, g->binary_len);
        enum err_code r = tensors_picture_size(g->tensors, len, g->e);
        if (r)
            return r;
        g->q->items[i] = (struct score_item){ SCORE_PICTURE, at + 4, len };
        at += 4 + len;
        left -= 4 + len;
    }
    if (left)
        return err_set(g->e, ERR_TENSOR_DATA, "%zu bytes follow the tensor's %d elements", left,
                       g->q->count);
    return ERR_OK;
}

/* float32 of each picture, one after the other. */
static void split_floats(const struct reading *g, const uint8_t *floats)
{
    size_t each = tensors_input_bytes(g->tensors);
    for (int i = 0; i < g->q->count; i++)
        g->q->items[i] = (struct score_item){ SCORE_TENSOR, floats + (size_t)i * each, each };
}

static enum err_code binary_floats(const struct reading *g)
{
    size_t want = tensors_input_bytes(g->tensors) * (size_t)g->q->count;
    if (g->binary_len != want)
        return err_set(g->e, ERR_TENSOR_DATA, "the tensor takes %zu bytes, there are %zu", want,
                       g->binary_len);
    split_floats(g, g->binary);
    return ERR_OK;
}

/* [["..."]] of [N,1] as well. */
static const json_t *element(const json_t *data, size_t i)
{
    const json_t *e = json_array_get(data, i);
    return json_is_array(e) && json_array_size(e) == 1 ? json_array_get(e, 0) : e;
}

static enum err_code json_pictures(const struct reading *g, const json_t *data)
{
    struct oip_request *q = g->q;
    size_t start[SCORE_BATCH_MAX + 1] = { 0 };
    if (json_array_size(data) != (size_t)q->count)
        return err_set(g->e, ERR_TENSOR_SHAPE, "\"data\" has %zu elements, the shape says %d",
                       json_array_size(data), q->count);
    for (int i = 0; i < q->count; i++) {
        char what[WHAT];
        snprintf(what, sizeof what, "element %d of \"data\"", i);
        enum err_code r =
            tensors_picture(g->tensors, element(data, (size_t)i), what, &q->own, g->e);
        if (r)
            return r;
        start[i + 1] = q->own.len;
    }
    for (int i = 0; i < q->count; i++)
        q->items[i] =
            (struct score_item){ SCORE_PICTURE, q->own.data + start[i], start[i + 1] - start[i] };
    return ERR_OK;
}

static enum err_code json_floats(const struct reading *g, const json_t *data)
{
    const int64_t shape[] = { g->q->count, 3, g->tensors->size, g->tensors->size };
    enum err_code r = tensors_floats(data, shape, 4, "\"data\"", &g->q->own, g->e);
    if (!r)
        split_floats(g, g->q->own.data);
    return r;
}

static enum err_code read_shape(const json_t *input, int64_t shape[RANK_MAX], int *ret_rank,
                                struct err *e)
{
    json_t *list = NULL;
    enum err_code r = member(input, "shape", JSON_ARRAY, "a list", &list, e);
    if (r)
        return r;
    if (!list)
        return err_set(e, ERR_FIELD_MISSING, "\"shape\" is missing");
    size_t rank = json_array_size(list);
    if (rank < 1 || rank > RANK_MAX)
        return err_set(e, ERR_TENSOR_SHAPE, "a shape of %zu dimensions fits no input", rank);
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(list, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return err_set(e, ERR_TENSOR_SHAPE, "\"shape\" must be of integers from 0");
        shape[i] = json_integer_value(dim);
    }
    *ret_rank = (int)rank;
    return ERR_OK;
}

static enum err_code check_name(const struct reading *g, const char *name, const char *wanted,
                                const char *datatype)
{
    if (strcmp(name, wanted) == 0)
        return ERR_OK;
    return err_set(g->e, ERR_TENSOR_UNKNOWN,
                   "unexpected inference input \"%.80s\" of %s; there are \"" TENSORS_PICTURES
                   "\" of BYTES and \"%.80s\" of FP32",
                   name, datatype, g->tensors->input);
}

/* Fills count. */
static enum err_code check_shape(const struct reading *g, bool pictures, const int64_t *shape,
                                 int rank)
{
    int64_t size = g->tensors->size;
    bool fits = pictures ? rank == 1 || (rank == 2 && shape[1] == 1)
                         : rank == 4 && shape[1] == 3 && shape[2] == size && shape[3] == size;
    if (!fits && pictures)
        return err_set(g->e, ERR_TENSOR_SHAPE, "\"" TENSORS_PICTURES "\" has the shape [N]");
    if (!fits)
        return err_set(g->e, ERR_TENSOR_SHAPE,
                       "\"%.80s\" has the shape [N,3,%" PRId64 ",%" PRId64 "]", g->tensors->input,
                       size, size);
    enum err_code r = score_batch_check((size_t)shape[0], g->e);
    if (!r)
        g->q->count = (int)shape[0];
    return r;
}

static enum err_code read_data(const struct reading *g, const json_t *input, bool pictures)
{
    json_t *parameters = NULL, *data = NULL;
    int64_t size = -1;
    enum err_code r = parameters_of(input, &parameters, g->e);
    if (!r)
        r = int_parameter(parameters, "binary_data_size", 0, INT64_MAX, &size, g->e);
    if (!r)
        r = member(input, "data", JSON_ARRAY, "a list", &data, g->e);
    if (r)
        return r;
    if (size >= 0 && data)
        return err_set(g->e, ERR_TENSOR_DATA, "the input has \"data\" and a binary_data_size");
    if (size >= 0 && (uint64_t)size != g->binary_len)
        return err_set(g->e, ERR_TENSOR_DATA,
                       "binary_data_size is %" PRId64
                       ", but the body has %zu bytes behind its JSON",
                       size, g->binary_len);
    if (size >= 0)
        return pictures ? binary_pictures(g) : binary_floats(g);
    if (g->binary_len)
        return err_set(g->e, ERR_TENSOR_DATA,
                       "%zu bytes follow the JSON, but no input has a binary_data_size",
                       g->binary_len);
    if (!data)
        return err_set(g->e, ERR_FIELD_MISSING,
                       "the input has neither \"data\" nor a "
                       "binary_data_size");
    return pictures ? json_pictures(g, data) : json_floats(g, data);
}

static enum err_code read_input(const struct reading *g, const json_t *input)
{
    const char *name = NULL, *datatype = NULL;
    int64_t shape[RANK_MAX] = { 0 };
    int rank = 0;
    enum err_code r = text_member(input, "name", &name, g->e);
    if (!r)
        r = text_member(input, "datatype", &datatype, g->e);
    if (!r)
        r = read_shape(input, shape, &rank, g->e);
    if (r)
        return r;
    bool pictures = strcmp(datatype, "BYTES") == 0;
    if (!pictures && strcmp(datatype, "FP32") != 0)
        return err_set(g->e, ERR_TENSOR_UNKNOWN, "datatype must be BYTES or FP32, is \"%.40s\"",
                       datatype);
    r = check_name(g, name, pictures ? TENSORS_PICTURES : g->tensors->input, datatype);
    if (!r)
        r = check_shape(g, pictures, shape, rank);
    return r ? r : read_data(g, input, pictures);
}

/* -- the outputs and the rest --------------------------------------------------------------------
 */

static enum err_code read_output(const struct reading *g, const json_t *output, bool binary)
{
    const char *name = NULL;
    json_t *parameters = NULL;
    int64_t classification = 0;
    enum err_code r = text_member(output, "name", &name, g->e);
    if (!r && strcmp(name, g->tensors->output) != 0)
        return err_set(g->e, ERR_TENSOR_UNKNOWN,
                       "unexpected inference output \"%.80s\"; there is \"%.80s\"", name,
                       g->tensors->output);
    if (!r)
        r = parameters_of(output, &parameters, g->e);
    if (!r)
        r = int_parameter(parameters, "classification", 0, OIP_CLASSIFICATION_MAX, &classification,
                          g->e);
    if (!r)
        r = bool_parameter(parameters, "binary_data", &binary, g->e);
    if (!r)
        g->q->outputs[g->q->output_count++] =
            (struct oip_output){ .classification = (int)classification, .binary = binary };
    return r;
}

static enum err_code read_outputs(const struct reading *g, const json_t *root, bool binary)
{
    json_t *outputs = NULL;
    enum err_code r = member(root, "outputs", JSON_ARRAY, "a list", &outputs, g->e);
    size_t count = json_array_size(outputs);
    if (!r && count > OIP_OUTPUTS)
        return err_set(g->e, ERR_FIELD_RANGE, "%zu outputs are more than the limit of %d", count,
                       OIP_OUTPUTS);
    for (size_t i = 0; !r && i < count; i++)
        r = read_output(g, json_array_get(outputs, i), binary);
    if (!r && !count)
        g->q->outputs[g->q->output_count++] = (struct oip_output){ .binary = binary };
    return r;
}

static enum err_code read_id(const struct reading *g, const json_t *root)
{
    json_t *id = NULL;
    enum err_code r = member(root, "id", JSON_STRING, "a string", &id, g->e);
    if (r || !id)
        return r;
    if (json_string_length(id) > OIP_ID)
        return err_set(g->e, ERR_FIELD_RANGE, "an id of %zu bytes is more than the limit of %d",
                       json_string_length(id), OIP_ID);
    g->q->id = strdup(json_string_value(id));
    return g->q->id ? ERR_OK : err_set(g->e, ERR_NOMEM, "no memory for an id");
}

static enum err_code read_root(const struct reading *g, const json_t *root)
{
    json_t *parameters = NULL, *inputs = NULL;
    bool binary = false;
    if (!json_is_object(root))
        return err_set(g->e, ERR_JSON_TYPE, "the request must be a JSON object");
    enum err_code r = parameters_of(root, &parameters, g->e);
    if (!r)
        r = bool_parameter(parameters, "binary_data_output", &binary, g->e);
    if (!r)
        r = int_parameter(parameters, "timeout", 0, INT64_MAX / 2, &g->q->timeout_us, g->e);
    if (!r)
        r = read_id(g, root);
    if (!r)
        r = read_outputs(g, root, binary);
    if (!r)
        r = member(root, "inputs", JSON_ARRAY, "a list", &inputs, g->e);
    if (!r && json_array_size(inputs) != 1)
        return err_set(g->e, ERR_FIELD_RANGE,
                       "expected 1 input, \"" TENSORS_PICTURES "\" or \"%.80s\", but got %zu",
                       g->tensors->input, json_array_size(inputs));
    return r ? r : read_input(g, json_array_get(inputs, 0));
}

/* How much of the body is JSON. */
static enum err_code read_header_length(const char *text, size_t len, size_t *ret, struct err *e)
{
    size_t value = 0, digits = strspn(text, "0123456789");
    if (!text[0]) {
        *ret = len;
        return ERR_OK;
    }
    if (!text[digits] && digits < 16)
        value = strtoull(text, NULL, 10);
    if (!value || value > len)
        return err_set(e, ERR_FIELD_RANGE,
                       "Inference-Header-Content-Length must be from 1 to the body's %zu bytes, is "
                       "\"%.40s\"",
                       len, text);
    *ret = value;
    return ERR_OK;
}

enum err_code oip_request_read(const struct tensors *t, const uint8_t *body, size_t len,
                               const char *header_length, struct oip_request *ret, struct err *e)
{
    size_t json = 0;
    if (!len)
        return err_set(e, ERR_BODY_MISSING, "a JSON body is expected");
    enum err_code r = read_header_length(header_length, len, &json, e);
    CLEANUP(json_decref_p) json_t *root = NULL;
    if (!r)
        r = json_read_values((const char *)body, json, TENSORS_JSON_VALUES, &root, e);
    if (r)
        return r;
    struct oip_request q = { 0 };
    /* Base64 and the text of numbers are larger than what they hold, but for digits like "0,". */
    buf_init(&q.own, len + (size_t)TENSORS_JSON_VALUES * sizeof(float));
    const struct reading g = {
        .tensors = t, .binary = body + json, .binary_len = len - json, .q = &q, .e = e
    };
    r = read_root(&g, root);
    if (r)
        oip_request_fini(&q);
    else
        *ret = q;
    return r;
}

void oip_request_fini(struct oip_request *q)
{
    free(q->id);
    buf_fini(&q->own);
}

int oip_request_top(const struct oip_request *q)
{
    int top = 0;
    for (int i = 0; i < q->output_count; i++)
        if (q->outputs[i].classification > top)
            top = q->outputs[i].classification;
    return top;
}
