#include "api/inference.h"

#include "api/content_coding.h"
#include "api/version_choice.h"
#include "daemon/models.h"
#include "data/base/cleanup.h"

enum err_code inference_version(const struct request *r, int64_t *ret, struct err *e)
{
    *ret = 0;
    if (request_param(r, "v")[0])
        return request_version(r, ret, e);
    if (!request_param(r, "l")[0])
        return ERR_OK;
    return models_alias(r->server->parts.state, request_param(r, "m"), request_param(r, "l"), ret,
                        e);
}

enum err_code inference_borrow(struct request *r, struct serve_ref **ret, struct err *e)
{
    int64_t version;
    enum err_code code = inference_version(r, &version, e);
    return code ? code
                : serve_borrow(r->server->parts.serve, request_param(r, "m"), version, ret, e);
}

static enum err_code unpack(struct request *r, struct err *e)
{
    enum content_coding coding = CODING_NONE;
    enum err_code code = content_coding_read(r->content_encoding, &coding, e);
    if (code || coding == CODING_NONE)
        return code;
    struct buf plain;
    buf_init(&plain, r->limit);
    code = content_unpack(coding, r->body.data, r->body.len, &plain, e);
    if (code) {
        buf_fini(&plain);
        return code;
    }
    buf_fini(&r->body);
    r->body = plain;
    return ERR_OK;
}

CLEANUP_DEFINE(struct serve_ref, serve_release);

enum err_code inference_begin(struct request *r, struct serve_ref **ret, struct err *e)
{
    CLEANUP(serve_release_p) struct serve_ref *ref = NULL;
    int64_t version;
    enum err_code code = inference_version(r, &version, e);
    if (!code)
        code = version_choice_borrow(r, request_param(r, "m"), version, &ref, e);
    if (!code && ref)
        code = unpack(r, e);
    if (code)
        return code;
    *ret = STEAL(ref);
    return ERR_OK;
}

enum err_code inference_pack(struct request *r, struct err *e)
{
    enum content_coding coding = content_coding_accepted(r->accept_encoding);
    struct buf packed;
    if (coding == CODING_NONE)
        return ERR_OK;
    buf_init(&packed, r->reply.body.max);
    enum err_code code = content_pack(coding, r->reply.body.data, r->reply.body.len, &packed, e);
    if (code) {
        buf_fini(&packed);
        return code;
    }
    buf_fini(&r->reply.body);
    r->reply.body = packed;
    reply_header(&r->reply, "Content-Encoding", "%s", content_coding_name(coding));
    return ERR_OK;
}
