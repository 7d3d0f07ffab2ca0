#include "api/tfs_reply.h"

#include "api/score_reply.h"
#include "api/tensors.h"
#include "api/tfs_request.h"

#include <inttypes.h>

enum { VERSION_TEXT = 24, SIZES_MAX = 4 };

static enum err_code row(const float *probabilities, int classes, struct buf *ret, struct err *e)
{
    enum err_code r = buf_printf(ret, e, "[");
    for (int i = 0; !r && i < classes; i++) {
        char text[FLOAT_TEXT];
        float_text(probabilities[i], text);
        r = buf_printf(ret, e, "%s%s", i ? ", " : "", text);
    }
    return r ? r : buf_printf(ret, e, "]");
}

enum err_code tfs_reply_predictions(bool columnar, const struct score_batch *b, struct reply *ret,
                                    struct err *e)
{
    enum err_code r =
        buf_printf(&ret->body, e, "{\n    \"%s\": [", columnar ? "outputs" : "predictions");
    for (int i = 0; !r && i < b->count; i++) {
        r = i ? buf_printf(&ret->body, e, ", ") : ERR_OK;
        if (!r)
            r = row(b->probabilities + (size_t)i * (size_t)b->classes, b->classes, &ret->body, e);
    }
    if (!r)
        r = buf_printf(&ret->body, e, "]\n}\n");
    if (r)
        return r;
    ret->status = 200;
    ret->type = "application/json";
    return ERR_OK;
}

/* Any version can be asked for: it is loaded then. */
json_t *tfs_reply_version(int64_t version)
{
    char text[VERSION_TEXT];
    snprintf(text, sizeof text, "%" PRId64, version);
    return json_pack("{s:s, s:s, s:{s:s, s:s}}", "version", text, "state", "AVAILABLE", "status",
                     "error_code", "OK", "error_message", "");
}

/* TensorInfo as protobuf's JSON has it: int64 as text. */
static json_t *tensor(const char *dtype, const char *name, const int *sizes, int rank)
{
    json_t *dims = json_array();
    for (int i = 0; i < rank; i++) {
        char text[VERSION_TEXT];
        snprintf(text, sizeof text, "%d", sizes[i]);
        if (json_array_append_new(dims, json_pack("{s:s, s:s}", "size", text, "name", "")) < 0) {
            json_decref(dims);
            return NULL;
        }
    }
    return json_pack("{s:s, s:{s:o, s:b}, s:s}", "dtype", dtype, "tensor_shape", "dim", dims,
                     "unknown_rank", 0, "name", name);
}

static json_t *signature(const char *name, json_t *input, const struct tensors *t)
{
    const int out[] = { -1, t->classes };
    return json_pack("{s:{s:o}, s:{s:o}, s:s}", "inputs", name, input, "outputs", t->output,
                     tensor("DT_FLOAT", t->output, out, 2), "method_name",
                     "tensorflow/serving/predict");
}

json_t *tfs_reply_metadata(const struct serve_ref *ref)
{
    const struct tensors t = tensors_of(ref, 0);
    const int pictures[] = { -1 }, tensors[SIZES_MAX] = { -1, 3, t.size, t.size };
    char version[VERSION_TEXT];
    snprintf(version, sizeof version, "%" PRId64, serve_ref_version(ref));
    json_t *both = json_pack(
        "{s:o, s:o}", TFS_PICTURES,
        signature(TENSORS_PICTURES, tensor("DT_STRING", TENSORS_PICTURES, pictures, 1), &t),
        TFS_TENSORS, signature(t.input, tensor("DT_FLOAT", t.input, tensors, SIZES_MAX), &t));
    return json_pack(
        "{s:{s:s, s:s, s:s}, s:{s:{s:s, s:o}}}", "model_spec", "name", serve_ref_model(ref),
        "signature_name", "", "version", version, "metadata", "signature_def", "@type",
        "type.googleapis.com/tensorflow.serving.SignatureDefMap", "signature_def", both);
}
