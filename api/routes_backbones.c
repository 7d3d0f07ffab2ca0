/* Pretrained networks. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/backbones.h"

static enum err_code add(struct request *r, struct err *e)
{
    const char *name = request_query(r, "name");
    int64_t resize = 0;
    request_query_int(r, "resize", &resize);
    if (!r->has_body)
        return err_set(e, ERR_BODY_MISSING, "an ONNX file is expected");
    struct backbone_overrides overrides = { .feature = request_query(r, "feature"),
                                            .mean = request_query(r, "mean"),
                                            .std = request_query(r, "std"),
                                            .color = request_query(r, "color"),
                                            .resize = (int)resize };
    json_t *made;
    enum err_code code = backbones_add(r->server->parts.state, name, body_stream_read, r->stream,
                                       &overrides, r->who, &made, e);
    if (code)
        return code;
    reply_header(&r->reply, "Location", "/api/v1/backbones/%s", name);
    return reply_json_take(&r->reply, 201, made, e);
}

static enum err_code list(struct request *r, struct err *e)
{
    json_t *all;
    enum err_code code = backbones_list(r->server->parts.state, &all, e);
    return code ? code : reply_list(&r->reply, "backbones", all, e);
}

static enum err_code show(struct request *r, struct err *e)
{
    json_t *one;
    enum err_code code = backbones_show(r->server->parts.state, request_param(r, "b"), &one, e);
    return code ? code : reply_json_take(&r->reply, 200, one, e);
}

const struct route routes_backbones[] = {
    { "POST", "/api/v1/backbones", BODY_BACKBONE, RUN_UPLOAD, add, "Add a pretrained ONNX network",
      ACCESS_TRAIN },
    { "GET", "/api/v1/backbones", BODY_NONE, RUN_TASK, list, "List backbones", ACCESS_TRAIN },
    { "GET", "/api/v1/backbones/{b}", BODY_NONE, RUN_TASK, show, "Show a backbone", ACCESS_TRAIN },
    { 0 },
};
