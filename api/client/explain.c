#include "api/client/http.h"
#include "api/client/show.h"
#include "api/client/table.h"
#include "api/client/upload.h"

static const struct flag flags[] = {
    { "batch", "N", "pictures a run, 1 to 16; 1 by default" },
    { "threads", "N", "cores for one run, 1 or 2; 1 by default" },
    { "output", "TENSOR", "the tensor to compute; the network's output by default" },
    { 0 },
};

static const char *text(const json_t *step, const char *name)
{
    const char *value = json_string_value(json_object_get(step, name));
    return value && value[0] ? value : "-";
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static void print_steps(const json_t *plan)
{
    struct table t;
    table_init(&t, "STEP", "PRIMITIVE", "IMPLEMENTATION", "INPUT", "WEIGHT", "OUTPUT", "KB", "TIME",
               NULL);
    size_t i;
    json_t *step;
    json_array_foreach (json_object_get(plan, "steps"), i, step) {
        table_cell(&t, "%s%s", number(step, "lane") > 0 ? "| " : "", text(step, "name"));
        table_cell(&t, "%s", text(step, "primitive"));
        table_cell(&t, "%s", text(step, "implementation"));
        table_cell(&t, "%s", text(step, "input"));
        table_cell(&t, "%s", text(step, "weight"));
        table_cell(&t, "%s", text(step, "output"));
        table_cell(&t, "%.0f", number(step, "bytes") / 1000);
        table_cell(&t, "%7.1f us %5.1f %%", number(step, "microseconds"),
                   100 * number(step, "share"));
    }
    table_print(&t);
    table_fini(&t);
    printf("\n%s, batch %.0f%s, %.0f thread%s: %.0f us one step after the other (medians of %.0f "
           "runs), "
           "%.1f MB of weights, %.1f MB of activations\n",
           text(plan, "engine"), number(plan, "batch"),
           number(plan, "repeat") > 1 ? " one by one" : "", number(plan, "threads"),
           number(plan, "threads") > 1 ? "s" : "", number(plan, "microseconds"),
           number(plan, "runs"), number(plan, "plan_bytes") / 1e6,
           number(plan, "scratch_bytes") / 1e6);
}

static enum outcome send(struct client *c, const struct args *a, const struct http_body *body,
                         struct http_reply *reply)
{
    const char *batch = args_flag(a, "batch"), *threads = args_flag(a, "threads");
    const char *output = args_flag(a, "output");
    if (output)
        return http_call(c->http, "POST", body, reply,
                         "/api/v1/explain?batch=%s&threads=%s&output=%s", batch ? batch : "1",
                         threads ? threads : "1", output);
    return http_call(c->http, "POST", body, reply, "/api/v1/explain?batch=%s&threads=%s",
                     batch ? batch : "1", threads ? threads : "1");
}

static enum outcome explain(struct client *c, const struct args *a)
{
    struct upload u;
    struct http_reply reply = { 0 };
    enum outcome outcome = upload_open(a->values[0], &u);
    if (outcome == DONE)
        outcome = send(c, a, &u.body, &reply);
    upload_fini(&u);
    if (!show_json(c, outcome, &reply))
        print_steps(reply.json);
    http_reply_fini(&reply);
    return outcome;
}

const struct command commands_explain[] = {
    { "model", "explain", "FILE", 1, 1, flags, explain,
      "Show what an ONNX file is compiled to on the server, with the time of each step" },
    { 0 },
};
