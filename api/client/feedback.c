#include "api/client/http.h"
#include "api/client/show.h"

static enum outcome feedback(struct client *c, const struct args *a)
{
    struct http_reply reply;
    json_t *body = json_pack("{s:s, s:s}", "prediction_id", a->values[0], "label", a->values[1]);
    enum outcome outcome = http_call_json(c->http, "POST", body, &reply, "/api/v1/feedback");
    if (!show_json(c, outcome, &reply))
        printf("%s: version %" JSON_INTEGER_FORMAT " said %s: %s\n",
               json_string_value(json_object_get(reply.json, "model")),
               json_integer_value(json_object_get(reply.json, "version")),
               json_string_value(json_object_get(reply.json, "predicted")),
               json_is_true(json_object_get(reply.json, "right")) ? "right" : "wrong");
    http_reply_fini(&reply);
    return outcome;
}

const struct command commands_feedback[] = {
    { "feedback", NULL, "PREDICTION LABEL", 2, 2, NULL, feedback,
      "Tell what was on a picture that was scored" },
    { 0 },
};
