#include "daemon/job_limits.h"

#include "data/base/json.h"

static enum err_code take(const json_t *object, struct job_limits *l, struct err *e)
{
    static const double memory_max = (double)(INT64_C(1) << 53);
    const struct json_field fields[] = {
        { "seconds", JSON_KIND_INT, false, &l->seconds, 1, JOB_SECONDS_MAX },
        { "memory", JSON_KIND_INT, false, &l->memory, JOB_MEMORY_MIN, memory_max },
        { "threads", JSON_KIND_INT, false, &l->threads, 1, JOB_THREADS_MAX },
        { "nice", JSON_KIND_INT, false, &l->nice, 0, 19 },
    };
    if (!object || json_is_null(object))
        return ERR_OK;
    enum err_code r = json_take(object, "limits", fields, sizeof fields / sizeof *fields, e);
    if (r)
        return r;
    /* A null lifts what base said. */
    const struct job_limits none = { .nice = -1 };
    if (json_is_null(json_object_get(object, "seconds")))
        l->seconds = none.seconds;
    if (json_is_null(json_object_get(object, "memory")))
        l->memory = none.memory;
    if (json_is_null(json_object_get(object, "threads")))
        l->threads = none.threads;
    if (json_is_null(json_object_get(object, "nice")))
        l->nice = none.nice;
    return ERR_OK;
}

enum err_code job_limits_merge(const json_t *base, const json_t *change, struct job_limits *ret,
                               struct err *e)
{
    struct job_limits l = { .nice = -1 };
    enum err_code r = take(base, &l, e);
    if (!r)
        r = take(change, &l, e);
    if (!r)
        *ret = l;
    return r;
}

static json_t *or_null(int64_t value, int64_t none)
{
    return value == none ? json_null() : json_integer((json_int_t)value);
}

json_t *job_limits_json(const struct job_limits *l)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "seconds", or_null(l->seconds, 0), "memory",
                     or_null(l->memory, 0), "threads", or_null(l->threads, 0), "nice",
                     or_null(l->nice, -1));
}
