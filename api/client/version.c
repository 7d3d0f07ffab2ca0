#include "api/client/download.h"
#include "api/client/http.h"
#include "api/client/progress.h"
#include "api/client/show.h"
#include "api/client/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add_row(struct table *t, const json_t *version)
{
    const json_t *metrics = json_object_get(version, "metrics");
    const json_t *gate = json_object_get(version, "gate");
    const json_t *aliases = json_object_get(version, "aliases");
    const char *alias = json_string_value(json_array_get(aliases, 0));
    table_member(t, version, "version");
    table_member(t, metrics, "accuracy");
    table_member(t, metrics, "macro_f1");
    table_cell(t, "%s", json_is_true(json_object_get(gate, "passed")) ? "passed" : "refused");
    table_cell(t, "%s", alias ? alias : "-");
    table_member(t, version, "dataset_version");
    table_member(t, version, "seed");
    table_member(t, version, "created");
}

static const struct flag list_flags[] = {
    { "limit", "N", "at most so many, the newest; 1 to 1000, default 100" },
    { "before", "VERSION", "only those before it" },
    { 0 },
};

static enum outcome list(struct client *c, const struct args *a)
{
    struct http_reply reply;
    const char *limit = args_flag(a, "limit"), *before = args_flag(a, "before");
    enum outcome outcome =
        http_call(c->http, "GET", NULL, &reply, "/api/v1/models/%s/versions?limit=%s&before=%s",
                  a->values[0], limit ? limit : "100", before ? before : "9223372036854775807");
    if (!show_json(c, outcome, &reply)) {
        struct table t;
        size_t i;
        json_t *version;
        table_init(&t, "VERSION", "ACCURACY", "MACRO F1", "GATE", "ALIAS", "DATASET VERSION",
                   "SEED", "CREATED", NULL);
        json_array_foreach (json_object_get(reply.json, "versions"), i, version)
            add_row(&t, version);
        table_print(&t);
        table_fini(&t);
    }
    http_reply_fini(&reply);
    return outcome;
}

/* "int8 (auto; accuracy fp32 0.925, int8 0.9225; margin 0.005)" in the place of the object. */
static void tell_precision(json_t *version)
{
    json_t *p = json_object_get(version, "precision");
    const char *served = json_string_value(json_object_get(p, "served"));
    const char *asked = json_string_value(json_object_get(p, "asked"));
    const json_t *int8 = json_object_get(p, "int8_accuracy");
    double fp32 = json_number_value(json_object_get(p, "fp32_accuracy"));
    double margin = json_number_value(json_object_get(p, "margin"));
    if (!served || !asked)
        return;
    json_t *text = json_is_number(int8)
                       ? json_sprintf("%s (%s; accuracy fp32 %g, int8 %g; margin %g)", served,
                                      asked, fp32, json_number_value(int8), margin)
                       : json_sprintf("%s (%s; accuracy fp32 %g)", served, asked, fp32);
    json_object_set_new(version, "precision", text);
}

static void print_version(json_t *version)
{
    static const char *const columns[] = { "label", "precision", "recall", "f1", "support", NULL };
    json_t *metrics = json_object_get(version, "metrics");
    json_incref(metrics);
    json_object_del(version, "metrics");
    json_object_del(version, "report");
    tell_precision(version);
    table_print_object(version);
    json_t *classes = json_incref(json_object_get(metrics, "per_class"));
    json_object_del(metrics, "per_class");
    json_object_del(metrics, "confusion_matrix");
    table_print_object(metrics);
    printf("\n");
    show_table(classes, columns);
    json_decref(classes);
    json_decref(metrics);
}

static enum outcome show(struct client *c, const struct args *a)
{
    struct http_reply reply;
    enum outcome outcome = http_call(c->http, "GET", NULL, &reply, "/api/v1/models/%s/versions/%s",
                                     a->values[0], a->values[1]);
    if (!show_json(c, outcome, &reply))
        print_version(reply.json);
    http_reply_fini(&reply);
    return outcome;
}

static const struct flag download_flags[] = {
    { "output", "FILE", "otherwise MODEL-vVERSION.onnx here; \"-\": standard output" },
    { 0 },
};

static enum outcome download(struct client *c, const struct args *a)
{
    const char *path = args_flag(a, "output");
    char name[4096];
    if (!path) {
        snprintf(name, sizeof name, "%s-v%s.onnx", a->values[0], a->values[1]);
        path = name;
    }
    return download_to(c, path, 0666, "/api/v1/models/%s/versions/%s/model.onnx", a->values[0],
                       a->values[1]);
}

const struct command commands_version[] = {
    { "version", "list", "MODEL", 1, 1, list_flags, list, "List a model's versions" },
    { "version", "show", "MODEL VERSION", 2, 2, NULL, show, "Show one with its metrics" },
    { "version", "download", "MODEL VERSION", 2, 2, download_flags, download,
      "Fetch its ONNX file" },
    { 0 },
};
