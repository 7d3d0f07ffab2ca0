#include "api/media.h"

#include <string.h>

static bool begins(const char *type, const char *prefix)
{
    return strncmp(type, prefix, strlen(prefix)) == 0;
}

static bool is_one_of(const char *type, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(type, *list) == 0)
            return true;
    return false;
}

/* "application/problem+json" is JSON too (RFC 6839). */
bool media_is_json(const char *type)
{
    size_t len = strlen(type);
    return strcmp(type, "application/json") == 0 ||
           (len > 5 && strcmp(type + len - 5, "+json") == 0);
}

/* A type that says nothing: none, curl's default, "some bytes", text that people type. */
static bool is_vague(const char *type)
{
    static const char *const vague[] = { "", "application/x-www-form-urlencoded",
                                         "application/octet-stream", "text/plain", NULL };
    return is_one_of(type, vague);
}

static bool is_archive(const char *type)
{
    static const char *const archives[] = { "application/x-tar",
                                            "application/tar",
                                            "application/x-gtar",
                                            "application/gzip",
                                            "application/x-gzip",
                                            "application/zip",
                                            "application/x-zip",
                                            "application/x-tgz",
                                            "application/x-compressed-tar",
                                            "application/x-ustar",
                                            "application/x-zip-compressed",
                                            NULL };
    return is_one_of(type, archives);
}

static bool is_network(const char *type)
{
    static const char *const networks[] = { "application/onnx", "application/x-onnx",
                                            "application/x-protobuf", "application/protobuf",
                                            NULL };
    return is_one_of(type, networks);
}

static bool takes(enum route_body body, const char *type)
{
    if (body == BODY_NONE || is_vague(type))
        return true;
    switch (body) {
    case BODY_NONE:
        return true;
    case BODY_JSON:
    case BODY_JSON_OPTIONAL:
    case BODY_SCORE_JSON:
        return media_is_json(type);
    case BODY_SCORE:
        return media_is_json(type) || begins(type, "image/");
    case BODY_TENSORS:
        return media_is_json(type);
    case BODY_PICTURE:
        return begins(type, "image/");
    case BODY_BACKBONE:
        return is_network(type);
    case BODY_IMPORT:
        return media_is_json(type) || is_archive(type);
    }
    return false;
}

static const char *expected(enum route_body body)
{
    switch (body) {
    case BODY_SCORE:
        return "image/jpeg, image/png or application/json";
    case BODY_PICTURE:
        return "image/jpeg or image/png";
    case BODY_BACKBONE:
        return "application/octet-stream (ONNX)";
    case BODY_IMPORT:
        return "application/x-tar, application/gzip, application/zip or application/json";
    case BODY_TENSORS:
        return "application/json or application/octet-stream";
    case BODY_NONE:
    case BODY_JSON:
    case BODY_JSON_OPTIONAL:
    case BODY_SCORE_JSON:
        return "application/json";
    }
    return "";
}

enum err_code media_check(enum route_body body, const char *type, struct err *e)
{
    if (takes(body, type))
        return ERR_OK;
    return err_set(e, ERR_MEDIA_TYPE, "content type \"%.80s\" is not taken here; send %s", type,
                   expected(body));
}
