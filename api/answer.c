#include "api/answer.h"

#include <string.h>

enum { SOURCE_BLOCK = 16384 };

static struct MHD_Response *make_response(struct request *r)
{
    struct reply *reply = &r->reply;
    struct MHD_Response *response;
    if (reply->source.context) {
        const struct reply_source *source = &reply->source;
        source->attach(source->context, r->connection);
        response = MHD_create_response_from_callback(
            source->size == REPLY_SIZE_UNKNOWN ? MHD_SIZE_UNKNOWN : source->size, SOURCE_BLOCK,
            source->read, source->context, source->leave);
        if (response)
            reply->source.context = NULL;
        return response;
    }
    if (reply->fd >= 0) {
        response = MHD_create_response_from_fd64(reply->fd_size, reply->fd);
        if (response)
            reply->fd = -1;
        return response;
    }
    if (reply->fixed)
        return MHD_create_response_from_buffer(reply->fixed_len, (void *)reply->fixed,
                                               MHD_RESPMEM_PERSISTENT);
    response =
        MHD_create_response_from_buffer(reply->body.len, reply->body.data, MHD_RESPMEM_MUST_FREE);
    if (response)
        buf_init(&reply->body, reply->body.max);
    return response;
}

static uint64_t reply_bytes(const struct reply *reply)
{
    if (reply->source.context)
        return reply->source.size == REPLY_SIZE_UNKNOWN ? 0 : reply->source.size;
    return reply->fd >= 0 ? reply->fd_size : reply->fixed ? reply->fixed_len : reply->body.len;
}

enum MHD_Result answer(struct request *r)
{
    uint64_t bytes = reply_bytes(&r->reply);
    struct MHD_Response *response = make_response(r);
    if (!response)
        return MHD_NO;
    const struct reply *reply = &r->reply;
    if (strcmp(r->method, "HEAD") != 0)
        r->reply_bytes = bytes;
    if (reply->type)
        MHD_add_response_header(response, "Content-Type", reply->type);
    MHD_add_response_header(response, "X-Request-Id", r->id);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    if (!reply_has_header(reply, "Content-Security-Policy"))
        MHD_add_response_header(response, "Content-Security-Policy",
                                "default-src 'none'; frame-ancestors 'none'");
    if (r->server->tls)
        MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
    for (int i = 0; i < reply->header_count; i++)
        MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    if (core_stopping(r->server))
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(r->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    r->stage = REQUEST_REPLIED;
    if (result == MHD_YES) {
        r->counted_answer = true;
        core_answer_begin(r->server);
    }
    return result;
}

enum MHD_Result answer_refusal(struct request *r)
{
    request_fail(r, &r->refusal);
    return answer(r);
}
