#include "api/client/http.h"
#include "api/client/show.h"
#include "api/client/upload.h"

#include <string.h>

static const struct flag add_flags[] = {
    { "name", "NAME", "its name; otherwise the file's, without .onnx" },
    { "feature", "TENSOR", "where to put a new head; found by itself otherwise" },
    { "mean", "M[,M,M]", "subtracted from pixel values 0..255" },
    { "std", "S[,S,S]", "then divided by" },
    { "color", "ORDER", "RGB or BGR" },
    { "resize", "N", "shorter side before the centre crop" },
    { 0 },
};

/* Only what was given stands in the query. */
static bool build_query(const struct args *a, char *ret, size_t size, const char *values[6])
{
    size_t at = 0;
    int n = 0;
    for (const struct flag *f = add_flags; f->name; f++) {
        const char *value = args_flag(a, f->name);
        if (!value && strcmp(f->name, "name") != 0)
            continue;
        at += (size_t)snprintf(ret + at, size - at, "%s%s=%%s", n ? "&" : "", f->name);
        values[n++] = value;
    }
    for (; n < 6; n++)
        values[n] = "";
    return at < size;
}

/* "models/mobilenet_v2.onnx" -> "mobilenet_v2" */
static void name_of(const char *path, char ret[128])
{
    const char *slash = strrchr(path, '/');
    snprintf(ret, 128, "%s", slash ? slash + 1 : path);
    char *dot = strstr(ret, ".onnx");
    if (dot)
        *dot = 0;
}

static enum outcome send(struct client *c, const struct http_body *body, struct http_reply *reply,
                         const char *query, const char *v[6])
{
    char path[512];
    snprintf(path, sizeof path, "/api/v1/backbones?%s", query);
    return http_call(c->http, "POST", body, reply, path, v[0], v[1], v[2], v[3], v[4], v[5]);
}

static enum outcome add(struct client *c, const struct args *a)
{
    char query[256], name[128];
    const char *values[6];
    struct upload u;
    struct http_reply reply = { 0 };
    if (!build_query(a, query, sizeof query, values))
        return USAGE;
    name_of(a->values[0], name);
    if (!values[0])
        values[0] = name;
    enum outcome outcome = upload_open(a->values[0], &u);
    if (outcome == DONE)
        outcome = send(c, &u.body, &reply, query, values);
    upload_fini(&u);
    return show_object(c, outcome, &reply);
}

static enum outcome list(struct client *c, const struct args *a)
{
    (void)a;
    return show_list(c, "/api/v1/backbones", "backbones", "name", "feature_tensor", "feature_width",
                     "parameters", "bytes", "created", NULL);
}

static enum outcome show(struct client *c, const struct args *a)
{
    struct http_reply reply;
    return show_object(
        c, http_call(c->http, "GET", NULL, &reply, "/api/v1/backbones/%s", a->values[0]), &reply);
}

const struct command commands_backbone[] = {
    { "backbone", "add", "FILE", 1, 1, add_flags, add, "Add a pretrained ONNX network" },
    { "backbone", "list", "", 0, 0, NULL, list, "List backbones" },
    { "backbone", "show", "NAME", 1, 1, NULL, show, "Show one" },
    { 0 },
};
