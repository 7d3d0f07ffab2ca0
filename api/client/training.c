#include "api/client/training.h"

#include "api/client/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that begins as JSON does is JSON, else it names a file; NULL after a message. */
static json_t *read_recipe(const char *text)
{
    json_error_t error;
    if (strcmp(text, "workshop") == 0)
        return json_pack("{s:s}", "preset", text);
    bool is_json = text[strspn(text, " \t\r\n")] == '{';
    json_t *object = is_json ? json_loads(text, JSON_REJECT_DUPLICATES, &error)
                             : json_load_file(text, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        fprintf(stderr, "kennel: --recipe: %s%s%s\n", is_json ? "not JSON: " : "",
                is_json ? "" : "neither \"workshop\" nor JSON nor a file that can be read: ",
                error.text);
    else if (!json_is_object(object)) {
        fprintf(stderr, "kennel: --recipe: %s is no JSON object\n", text);
        json_decref(object);
        return NULL;
    }
    return object;
}

static bool put_int(json_t *object, const struct args *a, const char *flag, const char *name,
                    int64_t min, int64_t max)
{
    int64_t value = 0;
    return args_int(a, flag, min, max, &value) &&
           (!args_has(a, flag) || json_object_set_new(object, name, json_integer(value)) == 0);
}

static bool put_real(json_t *object, const struct args *a, const char *flag, const char *name)
{
    const char *text = args_flag(a, flag);
    if (!text)
        return true;
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end || errno || !(value > 0)) {
        fprintf(stderr, "kennel: --%s must be a number above 0, is \"%s\"\n", flag, text);
        return false;
    }
    return json_object_set_new(object, name, json_real(value)) == 0;
}

/* Into body unless it is empty; takes object. */
static bool put_object(json_t *body, const char *name, json_t *object)
{
    if (json_object_size(object))
        return json_object_set_new(body, name, object) == 0;
    json_decref(object);
    return true;
}

bool training_put(json_t *body, const struct args *a)
{
    const char *text = args_flag(a, "recipe");
    json_t *recipe = text ? read_recipe(text) : json_object();
    json_t *limits = json_object();
    if (recipe && limits && put_int(recipe, a, "epochs", "epochs", 1, INT32_MAX) &&
        put_int(recipe, a, "batch", "batch", 1, INT32_MAX) &&
        put_real(recipe, a, "learning-rate", "learning_rate") &&
        put_int(limits, a, "limit-seconds", "seconds", 1, INT64_MAX) &&
        put_int(limits, a, "limit-memory", "memory", 1, INT64_MAX) &&
        put_int(limits, a, "limit-threads", "threads", 1, INT32_MAX) &&
        put_int(limits, a, "nice", "nice", 0, 19)) {
        bool put = put_object(body, "recipe", recipe);
        return put_object(body, "limits", limits) && put;
    }
    json_decref(recipe);
    json_decref(limits);
    return false;
}

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

void training_show_epoch(struct progress *p, const json_t *progress, int64_t *told)
{
    const json_t *epoch = json_object_get(progress, "epoch");
    const json_t *validation = json_object_get(epoch, "validation");
    int64_t number = json_integer_value(json_object_get(epoch, "epoch"));
    if (!json_is_object(epoch) || number == *told || number < 1)
        return;
    *told = number;
    progress_end(p);
    fprintf(stderr, "epoch %" PRId64 " of %" PRId64 ": loss %.4f, accuracy %.2f %%", number,
            (int64_t)json_integer_value(json_object_get(progress, "epochs")),
            number_of(epoch, "loss"), 100 * number_of(epoch, "accuracy"));
    if (json_is_object(validation))
        fprintf(stderr, ", validation loss %.4f, accuracy %.2f %%", number_of(validation, "loss"),
                100 * number_of(validation, "accuracy"));
    fprintf(stderr, ", rate %.3g, %.1f img/s\n", number_of(epoch, "learning_rate"),
            number_of(epoch, "images_per_second"));
}
