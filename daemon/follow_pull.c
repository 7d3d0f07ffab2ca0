#include "daemon/follow_pull.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"

#include <inttypes.h>

struct pull {
    const struct replica_version *version;
    struct blob_writer *writer;
    int64_t left;
};

static enum err_code take(void *context, const void *bytes, size_t len, struct err *e)
{
    struct pull *p = context;
    p->left -= (int64_t)len;
    if (p->left < 0)
        return err_set(e, ERR_TRAINER,
                       "version %" PRId64 " of model \"%s\" has more than its %" PRId64 " bytes",
                       p->version->version, p->version->model, p->version->bytes);
    return blob_writer_add(p->writer, bytes, len, e);
}

CLEANUP_DEFINE(struct blob_writer, blob_writer_abort);

enum err_code follow_pull(struct follow_link *l, struct state *s, const struct replica_version *v,
                          struct err *e)
{
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(blob_writer_abort_p) struct blob_writer *writer = NULL;
    struct digest got;
    struct follow_reply reply;
    enum err_code r = file_path(&path, e, "/api/v1/models/%s/versions/%" PRId64 "/model.onnx",
                                v->model, v->version);
    if (!r)
        r = blob_writer_new(state_blobs(s), &writer, e);
    struct pull pull = { .version = v, .writer = writer, .left = v->bytes };
    const struct follow_request q = { .path = path, .sink = take, .context = &pull };
    if (!r)
        r = follow_link_ask(l, &q, &reply, e);
    if (!r)
        r = blob_writer_end(STEAL(writer), &got, e);
    if (!r && digest_compare(&got, &v->artifact) != 0) {
        char wanted[DIGEST_HEX + 1], text[DIGEST_HEX + 1];
        digest_hex(&v->artifact, wanted);
        digest_hex(&got, text);
        r = err_set(e, ERR_TRAINER,
                    "what the trainer gave as version %" PRId64 " of model \"%s\" has the digest "
                    "%s, not %s",
                    v->version, v->model, text, wanted);
    }
    return r ? r : blobs_sync(state_blobs(s), e);
}
