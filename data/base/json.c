#include "data/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* jansson's own limit is 2048 levels, fixed when it was built; ours is counted before it allocates
 * anything. So are the values: each is the first one, or comes after a bracket or a comma. */
static enum err_code check_size(const char *text, size_t len, size_t values, struct err *e)
{
    size_t count = 1;
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return err_set(e, ERR_JSON_DEPTH, "JSON nested deeper than %d levels",
                               JSON_DEPTH_MAX);
            count++;
        } else if (c == ',') {
            count++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    if (count > values)
        return err_set(e, ERR_JSON_VALUES, "JSON of more than %zu values", values);
    return ERR_OK;
}

enum err_code json_read(const char *text, size_t len, json_t **ret, struct err *e)
{
    return json_read_values(text, len, SIZE_MAX, ret, e);
}

enum err_code json_read_values(const char *text, size_t len, size_t values, json_t **ret,
                               struct err *e)
{
    enum err_code r = check_size(text, len, values, e);
    if (r)
        return r;
    json_error_t error;
    errno = 0;
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    /* jansson calls a failed allocation a syntax error, or nothing at all. */
    if (!value &&
        (errno == ENOMEM || json_error_code(&error) == json_error_out_of_memory || !error.text[0]))
        return err_set(e, ERR_NOMEM, "no memory to parse JSON");
    if (!value)
        return err_set(e, ERR_JSON_SYNTAX, "not JSON: line %d column %d: %s", error.line,
                       error.column, error.text);
    *ret = value;
    return ERR_OK;
}

static const struct json_field *find_field(const struct json_field *fields, size_t count,
                                           const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static const char *kind_text(enum json_kind kind)
{
    switch (kind) {
    case JSON_KIND_STRING:
        return "a string";
    case JSON_KIND_INT:
        return "an integer";
    case JSON_KIND_REAL:
        return "a number";
    case JSON_KIND_BOOL:
        return "true or false";
    case JSON_KIND_OBJECT:
        return "an object";
    case JSON_KIND_ARRAY:
        return "an array";
    case JSON_KIND_ANY:
        return "any value";
    }
    return "?";
}

static bool has_kind(const json_t *value, enum json_kind kind)
{
    switch (kind) {
    case JSON_KIND_STRING:
        return json_is_string(value) &&
               strlen(json_string_value(value)) == json_string_length(value);
    case JSON_KIND_INT:
        return json_is_integer(value);
    case JSON_KIND_REAL:
        return json_is_number(value);
    case JSON_KIND_BOOL:
        return json_is_boolean(value);
    case JSON_KIND_OBJECT:
        return json_is_object(value);
    case JSON_KIND_ARRAY:
        return json_is_array(value);
    case JSON_KIND_ANY:
        return true;
    }
    return false;
}

static enum err_code check_range(const json_t *value, const char *what, const struct json_field *f,
                                 struct err *e)
{
    if (f->min == 0 && f->max == 0)
        return ERR_OK;
    bool is_text = f->kind == JSON_KIND_STRING;
    double size = is_text ? (double)json_string_length(value) : json_number_value(value);
    if (size >= f->min && size <= f->max)
        return ERR_OK;
    return err_set(e, ERR_FIELD_RANGE, "%s: %s%s must be between %g and %g, is %g", what, f->name,
                   is_text ? ": length in bytes" : "", f->min, f->max, size);
}

static void store(json_t *value, const struct json_field *f)
{
    switch (f->kind) {
    case JSON_KIND_STRING:
        *(const char **)f->into = json_string_value(value);
        break;
    case JSON_KIND_INT:
        *(int64_t *)f->into = json_integer_value(value);
        break;
    case JSON_KIND_REAL:
        *(double *)f->into = json_number_value(value);
        break;
    case JSON_KIND_BOOL:
        *(bool *)f->into = json_is_true(value);
        break;
    case JSON_KIND_OBJECT:
    case JSON_KIND_ARRAY:
    case JSON_KIND_ANY:
        *(json_t **)f->into = value;
        break;
    }
}

enum err_code json_take(const json_t *object, const char *what, const struct json_field *fields,
                        size_t count, struct err *e)
{
    if (!json_is_object(object))
        return err_set(e, ERR_JSON_TYPE, "%s must be a JSON object", what);

    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)object, name, value) {
        const struct json_field *f = find_field(fields, count, name);
        if (!f)
            return err_set(e, ERR_FIELD_UNKNOWN, "%s: unknown field \"%.100s\"", what, name);
        if (json_is_null(value))
            continue;
        if (!has_kind(value, f->kind))
            return err_set(e, ERR_JSON_TYPE, "%s: %s must be %s", what, name, kind_text(f->kind));
        enum err_code r = check_range(value, what, f, e);
        if (r)
            return r;
    }
    for (size_t i = 0; i < count; i++) {
        value = json_object_get(object, fields[i].name);
        if (fields[i].required && (!value || json_is_null(value)))
            return err_set(e, ERR_FIELD_MISSING, "%s: field \"%s\" is missing", what,
                           fields[i].name);
    }
    for (size_t i = 0; i < count; i++) {
        value = json_object_get(object, fields[i].name);
        if (value && !json_is_null(value))
            store(value, &fields[i]);
    }
    return ERR_OK;
}

struct sink {
    struct buf *out;
    struct err *e;
    enum err_code r;
};

static int sink_append(const char *bytes, size_t len, void *context)
{
    struct sink *sink = context;
    sink->r = buf_append(sink->out, bytes, len, sink->e);
    return sink->r ? -1 : 0;
}

enum err_code json_write(const json_t *value, struct buf *ret, struct err *e)
{
    struct sink sink = { .out = ret, .e = e, .r = ERR_OK };
    size_t before = ret->len;
    size_t flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17);
    if (json_dump_callback(value, sink_append, &sink, flags) == 0)
        return ERR_OK;
    ret->len = before;
    if (ret->data)
        buf_terminate(ret);
    return sink.r ? sink.r : err_set(e, ERR_NOMEM, "no memory to write JSON");
}

enum err_code json_put(json_t *object, const char *name, json_t *value, struct err *e)
{
    if (!value || json_object_set_new(object, name, value) < 0)
        return err_set(e, ERR_NOMEM, "no memory for JSON member %s", name);
    return ERR_OK;
}
