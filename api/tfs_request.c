#include "api/tfs_request.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <string.h>

enum { WHAT = 32 };

enum kind { UNSAID, PICTURES, TENSORS };

struct reading {
    const struct tensors *tensors;
    enum kind kind; /* that the signature says, then that the first element says */
    struct tfs_request *q;
    struct err *e;
};

static bool is_b64(const json_t *value)
{
    return json_object_size(value) == 1 && json_object_get(value, "b64");
}

/* {NAME: value} -> value, NAME saying its kind. */
static enum err_code unwrap(struct reading *g, const json_t *value, const json_t **ret)
{
    const char *input = g->tensors->input;
    if (!json_is_object(value) || is_b64(value)) {
        *ret = value;
        return ERR_OK;
    }
    const char *name = json_object_iter_key(json_object_iter((json_t *)value));
    bool picture = name && strcmp(name, TENSORS_PICTURES) == 0;
    if (json_object_size(value) != 1 || (!picture && strcmp(name, input) != 0))
        return err_set(g->e, ERR_TENSOR_UNKNOWN,
                       "unexpected input \"%.80s\"; there are \"" TENSORS_PICTURES
                       "\" and \"%.80s\", one a request",
                       name ? name : "", input);
    *ret = json_object_get(value, name);
    return ERR_OK;
}

static enum err_code check_kind(struct reading *g, const json_t *value, const char *what)
{
    enum kind kind = is_b64(value) ? PICTURES : json_is_array(value) ? TENSORS : UNSAID;
    if (kind == UNSAID)
        return err_set(g->e, ERR_TENSOR_DATA,
                       "%s must be {\"b64\": \"...\"}, a picture, or lists of numbers", what);
    if (g->kind == UNSAID)
        g->kind = kind;
    if (g->kind != kind)
        return err_set(g->e, ERR_TENSOR_DATA, "%s is a %s where %s are expected", what,
                       kind == PICTURES ? "picture" : "tensor",
                       kind == PICTURES ? "tensors" : "pictures");
    return ERR_OK;
}

static enum err_code take_one(struct reading *g, const json_t *value, const char *what)
{
    const int64_t shape[] = { 3, g->tensors->size, g->tensors->size };
    enum err_code r = check_kind(g, value, what);
    if (r)
        return r;
    if (g->kind == TENSORS)
        return tensors_floats(value, shape, 3, what, &g->q->own, g->e);
    return tensors_picture(g->tensors, json_object_get(value, "b64"), what, &g->q->own, g->e);
}

static enum err_code take_all(struct reading *g, const json_t *list, const char *name)
{
    struct tfs_request *q = g->q;
    size_t start[SCORE_BATCH_MAX + 1] = { 0 };
    if (!json_is_array(list))
        return err_set(g->e, ERR_TENSOR_SHAPE, "\"%s\" must be a list of pictures or tensors",
                       name);
    enum err_code r = score_batch_check(json_array_size(list), g->e);
    for (size_t i = 0; !r && i < json_array_size(list); i++) {
        char what[WHAT];
        const json_t *value = json_array_get(list, i);
        snprintf(what, sizeof what, "%s[%zu]", name, i);
        if (!q->columnar)
            r = unwrap(g, value, &value);
        if (!r)
            r = take_one(g, value, what);
        start[i + 1] = q->own.len;
    }
    if (r)
        return r;
    q->count = (int)json_array_size(list);
    for (int i = 0; i < q->count; i++)
        q->items[i] = (struct score_item){ g->kind == TENSORS ? SCORE_TENSOR : SCORE_PICTURE,
                                           q->own.data + start[i], start[i + 1] - start[i] };
    return ERR_OK;
}

static enum err_code read_signature(struct reading *g, const json_t *signature)
{
    if (signature && !json_is_string(signature))
        return err_set(g->e, ERR_JSON_TYPE, "\"signature_name\" must be a string");
    const char *name = signature ? json_string_value(signature) : "";
    if (!name[0])
        return ERR_OK;
    if (strcmp(name, TFS_PICTURES) == 0)
        g->kind = PICTURES;
    else if (strcmp(name, TFS_TENSORS) == 0)
        g->kind = TENSORS;
    else
        return err_set(g->e, ERR_TENSOR_UNKNOWN,
                       "Serving signature name: \"%.80s\" not found in signature def", name);
    return ERR_OK;
}

/* Other members are passed over, as TensorFlow Serving does. */
static enum err_code read_root(struct reading *g, const json_t *root)
{
    if (!json_is_object(root))
        return err_set(g->e, ERR_JSON_TYPE, "the request must be a JSON object");
    const json_t *instances = json_object_get(root, "instances");
    const json_t *inputs = json_object_get(root, "inputs");
    enum err_code r = read_signature(g, json_object_get(root, "signature_name"));
    if (r)
        return r;
    if (!instances == !inputs)
        return err_set(g->e, ERR_FIELD_MISSING,
                       "the request must have either \"instances\" or \"inputs\"");
    if (instances)
        return take_all(g, instances, "instances");
    g->q->columnar = true;
    r = unwrap(g, inputs, &inputs);
    return r ? r : take_all(g, inputs, "inputs");
}

enum err_code tfs_request_read(const struct tensors *t, const uint8_t *body, size_t len,
                               struct tfs_request *ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *root = NULL;
    if (!len)
        return err_set(e, ERR_BODY_MISSING, "a JSON body is expected");
    enum err_code r = json_read_values((const char *)body, len, TENSORS_JSON_VALUES, &root, e);
    if (r)
        return r;
    struct tfs_request q = { 0 };
    buf_init(&q.own, len + (size_t)TENSORS_JSON_VALUES * sizeof(float));
    struct reading g = { .tensors = t, .q = &q, .e = e };
    r = read_root(&g, root);
    if (r)
        tfs_request_fini(&q);
    else
        *ret = q;
    return r;
}

void tfs_request_fini(struct tfs_request *q)
{
    buf_fini(&q->own);
}
