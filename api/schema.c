/* DESIGN
 *
 * check_*() holds a value against a schema, know_*() holds a schema against the keywords that
 * check_*() obeys, so that the document cannot ask for what nobody checks. The two change together,
 * which is why they stand in one file, past 500 lines. */
#include "api/schema.h"

#include "data/base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERNS_MAX = 32, PATH_SIZE = 160, LIST_SIZE = 400, DEPTH_MAX = 32 };

struct pattern {
    const char *text; /* of the document: the same pointer, so that it is found without comparing */
    regex_t regex;
};

struct schemas {
    const json_t *document;
    struct pattern patterns[PATTERNS_MAX];
    int pattern_count;
};

/* What is being checked: the error's text names it by its path. */
struct walk {
    const struct schemas *s;
    const char *what;
    char path[PATH_SIZE]; /* "gate.margin", "steps[2]"; "" at the top */
    size_t len;           /* may be past what path could hold */
    enum err_code range;  /* of a value that is not allowed: ERR_FIELD_RANGE or the schema's own */
    struct err *e;
};

/* -- errors ----------------------------------------------------------------------------------- */

static enum err_code refuse(const struct walk *w, enum err_code code, const char *must,
                            const json_t *value)
{
    CLEANUP(cleanup_free)
    char *text =
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;
    return err_set(w->e, code, "%s%s%s must %s%s%.60s", w->what, w->path[0] ? ": " : "", w->path,
                   must, text ? ", is " : "", text ? text : "");
}

static size_t push(struct walk *w, const char *format, const char *name, size_t index)
{
    size_t before = w->len;
    if (w->len < sizeof w->path) {
        char part[PATH_SIZE];
        int n = name ? snprintf(part, sizeof part, format, w->len ? "." : "", name)
                     : snprintf(part, sizeof part, format, index);
        snprintf(w->path + w->len, sizeof w->path - w->len, "%s", part);
        w->len += (size_t)n;
    }
    return before;
}

static void pop(struct walk *w, size_t before)
{
    w->len = before;
    if (before < sizeof w->path)
        w->path[before] = 0;
}

static void list(char *ret, size_t size, const char *text)
{
    size_t at = strlen(ret);
    snprintf(ret + at, size - at, "%s%s", at ? ", " : "", text);
}

/* -- one keyword each ------------------------------------------------------------------------- */

static const char *type_text(const char *name)
{
    static const char *const texts[][2] = {
        { "string", "a string" },  { "integer", "an integer" },
        { "number", "a number" },  { "boolean", "true or false" },
        { "object", "an object" }, { "array", "an array" },
        { "null", "null" },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i][0], name) == 0)
            return texts[i][1];
    return NULL;
}

static bool has_type(const json_t *value, const char *name)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return strcmp(name, "object") == 0;
    case JSON_ARRAY:
        return strcmp(name, "array") == 0;
    case JSON_STRING:
        return strcmp(name, "string") == 0;
    case JSON_INTEGER:
        return strcmp(name, "integer") == 0 || strcmp(name, "number") == 0;
    case JSON_REAL:
        return strcmp(name, "number") == 0;
    case JSON_TRUE:
    case JSON_FALSE:
        return strcmp(name, "boolean") == 0;
    case JSON_NULL:
        return strcmp(name, "null") == 0;
    }
    return false;
}

static bool has_any_type(const json_t *rule, const json_t *value)
{
    if (json_is_string(rule))
        return has_type(value, json_string_value(rule));
    size_t i;
    json_t *name;
    json_array_foreach (rule, i, name)
        if (has_type(value, json_string_value(name)))
            return true;
    return false;
}

/* Appends what a schema takes, in words: "a string", "one of a, b". */
static void describe(const struct schemas *s, const json_t *schema, char *ret, size_t size)
{
    size_t i;
    json_t *one;
    schema = schemas_resolve(s, schema);
    json_t *type = json_object_get(schema, "type"), *names = json_object_get(schema, "enum");
    if (json_is_string(type))
        list(ret, size, type_text(json_string_value(type)));
    json_array_foreach (type, i, one)
        list(ret, size, type_text(json_string_value(one)));
    json_array_foreach (names, i, one)
        list(ret, size, json_is_string(one) ? json_string_value(one) : "null");
}

/* A limit that is not there is the one that never bites. */
static double limit(const json_t *schema, const char *name, double none)
{
    const json_t *rule = json_object_get(schema, name);
    return rule ? json_number_value(rule) : none;
}

/* Appends " from 1 to 10", " at least 1", " at most 10" or nothing. */
static void describe_limits(double min, double max, char *ret, size_t size)
{
    size_t at = strlen(ret);
    if (isfinite(min) && isfinite(max))
        snprintf(ret + at, size - at, " from %.15g to %.15g", min, max);
    else if (isfinite(min))
        snprintf(ret + at, size - at, " at least %.15g", min);
    else if (isfinite(max))
        snprintf(ret + at, size - at, " at most %.15g", max);
}

static enum err_code check_type(struct walk *w, const json_t *schema, const json_t *value)
{
    const json_t *rule = json_object_get(schema, "type");
    if (!rule || has_any_type(rule, value))
        return ERR_OK;
    char words[LIST_SIZE] = "", must[LIST_SIZE + 16];
    describe(w->s, schema, words, sizeof words);
    describe_limits(limit(schema, "minimum", -INFINITY), limit(schema, "maximum", INFINITY), words,
                    sizeof words);
    snprintf(must, sizeof must, "be %s%s", json_is_array(rule) ? "one of " : "", words);
    return refuse(w, ERR_JSON_TYPE, must, value);
}

static enum err_code check_enum(struct walk *w, const json_t *schema, const json_t *value)
{
    const json_t *rule = json_object_get(schema, "enum");
    size_t i;
    json_t *one;
    json_array_foreach (rule, i, one)
        if (json_equal(one, (json_t *)value))
            return ERR_OK;
    if (!rule)
        return ERR_OK;
    char words[LIST_SIZE] = "", must[LIST_SIZE + 16];
    describe(w->s, schema, words, sizeof words);
    snprintf(must, sizeof must, "be one of %s", words);
    return refuse(w, json_is_string(value) ? w->range : ERR_JSON_TYPE, must, value);
}

static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static enum err_code check_between(struct walk *w, const json_t *schema, const char *min_name,
                                   const char *max_name, double size, const char *unit,
                                   const json_t *value)
{
    double min = limit(schema, min_name, -INFINITY), max = limit(schema, max_name, INFINITY);
    if (size >= min && size <= max)
        return ERR_OK;
    const char *verb = unit[0] ? "have" : json_is_integer(value) ? "be an integer" : "be";
    char must[128];
    snprintf(must, sizeof must, "%s", verb);
    describe_limits(min, max, must, sizeof must);
    size_t at = strlen(must);
    snprintf(must + at, sizeof must - at, "%s", unit);
    return refuse(w, w->range, must, unit[0] ? NULL : value);
}

static enum err_code check_pattern(struct walk *w, const json_t *schema, const json_t *value)
{
    const char *text = json_string_value(json_object_get(schema, "pattern"));
    if (!text)
        return ERR_OK;
    for (int i = 0; i < w->s->pattern_count; i++)
        if (w->s->patterns[i].text == text &&
            strlen(json_string_value(value)) == json_string_length(value) &&
            regexec(&w->s->patterns[i].regex, json_string_value(value), 0, NULL, 0) == 0)
            return ERR_OK;
    char must[LIST_SIZE];
    snprintf(must, sizeof must, "match %s", text);
    return refuse(w, w->range, must, value);
}

static enum err_code check(struct walk *w, const json_t *schema, const json_t *value);

static enum err_code check_member(struct walk *w, const json_t *schema, const char *name,
                                  const json_t *value)
{
    const json_t *own = json_object_get(json_object_get(schema, "properties"), name);
    const json_t *other = json_object_get(schema, "additionalProperties");
    if (!own && json_is_false(other))
        return err_set(w->e, ERR_FIELD_UNKNOWN, "%s%s%s: unknown field \"%.100s\"", w->what,
                       w->path[0] ? ": " : "", w->path, name);
    if (!own)
        own = other;
    if (!json_is_object(own))
        return ERR_OK;
    size_t before = push(w, "%s%.60s", name, 0);
    enum err_code code = check(w, own, value);
    pop(w, before);
    return code;
}

static enum err_code check_object(struct walk *w, const json_t *schema, const json_t *value)
{
    const char *name;
    json_t *member;
    json_object_foreach ((json_t *)value, name, member) {
        enum err_code code = check_member(w, schema, name, member);
        if (code)
            return code;
    }
    size_t i;
    json_array_foreach (json_object_get(schema, "required"), i, member)
        if (!json_object_get(value, json_string_value(member)))
            return err_set(w->e, ERR_FIELD_MISSING, "%s%s%s: field \"%s\" is missing", w->what,
                           w->path[0] ? ": " : "", w->path, json_string_value(member));
    return ERR_OK;
}

static enum err_code check_array(struct walk *w, const json_t *schema, const json_t *value)
{
    enum err_code code = check_between(w, schema, "minItems", "maxItems",
                                       (double)json_array_size(value), " items", value);
    const json_t *items = json_object_get(schema, "items");
    size_t i;
    json_t *item;
    if (code || !items)
        return code;
    json_array_foreach (value, i, item) {
        size_t before = push(w, "[%zu]", NULL, i);
        code = check(w, items, item);
        pop(w, before);
        if (code)
            return code;
    }
    return ERR_OK;
}

static bool fits_kind(const struct walk *w, const json_t *schema, const json_t *value)
{
    schema = schemas_resolve(w->s, schema);
    const json_t *type = json_object_get(schema, "type"), *names = json_object_get(schema, "enum");
    return type ? has_any_type(type, value)
                : names && json_typeof(json_array_get(names, 0)) == json_typeof(value);
}

/* The alternatives of our schemas differ by their type, so that the one that was meant is known and
 * can say what is wrong. */
static enum err_code check_one_of(struct walk *w, const json_t *schema, const json_t *value)
{
    const json_t *rule = json_object_get(schema, "oneOf");
    char words[LIST_SIZE] = "", must[LIST_SIZE + 16];
    size_t i;
    json_t *one;
    json_array_foreach (rule, i, one) {
        if (fits_kind(w, one, value))
            return check(w, one, value);
        describe(w->s, one, words, sizeof words);
    }
    if (!rule)
        return ERR_OK;
    snprintf(must, sizeof must, "be one of %s", words);
    return refuse(w, ERR_JSON_TYPE, must, value);
}

static enum err_code check_value(struct walk *w, const json_t *schema, const json_t *value)
{
    enum err_code code = check_type(w, schema, value);
    if (!code)
        code = check_enum(w, schema, value);
    if (!code)
        code = check_one_of(w, schema, value);
    if (code)
        return code;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return check_object(w, schema, value);
    case JSON_ARRAY:
        return check_array(w, schema, value);
    case JSON_STRING:
        code = check_between(w, schema, "minLength", "maxLength",
                             (double)characters(json_string_value(value)), " characters", value);
        return code ? code : check_pattern(w, schema, value);
    case JSON_INTEGER:
    case JSON_REAL:
        return check_between(w, schema, "minimum", "maximum", json_number_value(value), "", value);
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        return ERR_OK;
    }
    return ERR_OK;
}

static enum err_code check(struct walk *w, const json_t *schema, const json_t *value)
{
    schema = schemas_resolve(w->s, schema);
    const char *slug = json_string_value(json_object_get(schema, "x-kennel-code"));
    enum err_code outer = w->range;
    if (slug)
        w->range = err_from_slug(slug);
    enum err_code code = check_value(w, schema, value);
    w->range = outer;
    return code;
}

enum err_code schemas_check(const struct schemas *s, const json_t *schema, const json_t *value,
                            const char *what, struct err *e)
{
    struct walk w = { .s = s, .what = what, .range = ERR_FIELD_RANGE, .e = e };
    return check(&w, schema, value);
}

/* -- parameters ------------------------------------------------------------------------------- */

static json_t *read_text(const char *type, const char *text)
{
    char *end;
    errno = 0;
    bool number = (text[0] >= '0' && text[0] <= '9') || text[0] == '-';
    if (number && strcmp(type, "integer") == 0) {
        long long value = strtoll(text, &end, 10);
        if (!errno && !*end)
            return json_integer(value);
    } else if (number && strcmp(type, "number") == 0) {
        double value = strtod(text, &end);
        if (!errno && !*end && isfinite(value))
            return json_real(value);
    } else if (strcmp(type, "boolean") == 0 && strcmp(text, "true") == 0) {
        return json_true();
    } else if (strcmp(type, "boolean") == 0 && strcmp(text, "false") == 0) {
        return json_false();
    }
    return json_string(text);
}

enum err_code schemas_check_text(const struct schemas *s, const json_t *schema, const char *text,
                                 const char *what, struct err *e)
{
    schema = schemas_resolve(s, schema);
    const char *type = json_string_value(json_object_get(schema, "type"));
    CLEANUP(json_decref_p) json_t *value = read_text(type ? type : "string", text);
    if (!value) /* jansson makes no string of what is not UTF-8 */
        return err_set(e, ERR_FIELD_RANGE, "%s must be UTF-8", what);
    enum err_code code = schemas_check(s, schema, value, what, e);
    return code == ERR_JSON_TYPE ? (e->code = ERR_FIELD_RANGE) : code;
}

/* -- reading the document --------------------------------------------------------------------- */

const json_t *schemas_resolve(const struct schemas *s, const json_t *node)
{
    const char *ref;
    for (int i = 0; i < DEPTH_MAX && (ref = json_string_value(json_object_get(node, "$ref")));
         i++) {
        char part[PATH_SIZE];
        node = strncmp(ref, "#/", 2) == 0 ? s->document : NULL;
        for (const char *at = ref + 1; node && *at == '/';) {
            size_t n = strcspn(++at, "/");
            snprintf(part, sizeof part, "%.*s", (int)n, at);
            node = json_object_get(node, part);
            at += n;
        }
    }
    return json_object_get(node, "$ref") ? NULL : node; /* in a circle */
}

static bool is_known(const char *keyword)
{
    static const char *const known[] = { /* checked */
                                         "type", "enum", "oneOf", "properties", "required",
                                         "additionalProperties", "items", "minimum", "maximum",
                                         "minLength", "maxLength", "minItems", "maxItems",
                                         "pattern", "x-kennel-code",
                                         /* for the reader */
                                         "description", "default", "contentEncoding", "examples"
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], keyword) == 0)
            return true;
    return false;
}

static enum err_code know(const struct schemas *s, const json_t *schema, int depth, struct err *e);

static enum err_code know_all(const struct schemas *s, const json_t *schemas, int depth,
                              struct err *e)
{
    enum err_code code = ERR_OK;
    const char *name;
    json_t *one;
    size_t i;
    json_object_foreach ((json_t *)schemas, name, one)
        if (!code)
            code = know(s, one, depth, e);
    json_array_foreach (schemas, i, one)
        if (!code)
            code = know(s, one, depth, e);
    return code;
}

static enum err_code know_types(const json_t *rule, struct err *e)
{
    size_t i;
    json_t *one;
    if (json_is_string(rule) && !type_text(json_string_value(rule)))
        return err_set(e, ERR_INTERNAL, "no type \"%s\"", json_string_value(rule));
    json_array_foreach (rule, i, one)
        if (!json_is_string(one) || !type_text(json_string_value(one)))
            return err_set(e, ERR_INTERNAL, "a type that is none");
    return ERR_OK;
}

static enum err_code know(const struct schemas *s, const json_t *schema, int depth, struct err *e)
{
    const char *keyword;
    json_t *rule;
    schema = schemas_resolve(s, schema);
    if (!json_is_object(schema) || depth > DEPTH_MAX)
        return err_set(e, ERR_INTERNAL, "a schema that leads nowhere, or is too deep");
    json_object_foreach ((json_t *)schema, keyword, rule)
        if (!is_known(keyword))
            return err_set(e, ERR_INTERNAL, "unknown keyword \"%s\" in a schema", keyword);
    enum err_code code = know_types(json_object_get(schema, "type"), e);
    if (!code)
        code = know_all(s, json_object_get(schema, "properties"), depth + 1, e);
    if (!code)
        code = know_all(s, json_object_get(schema, "oneOf"), depth + 1, e);
    const json_t *other = json_object_get(schema, "additionalProperties");
    if (!code && json_is_object(other))
        code = know(s, other, depth + 1, e);
    const json_t *items = json_object_get(schema, "items");
    if (!code && items)
        code = know(s, items, depth + 1, e);
    return code;
}

enum err_code schemas_know(const struct schemas *s, const json_t *schema, struct err *e)
{
    return know(s, schema, 0, e);
}

static enum err_code add_pattern(struct schemas *s, const char *text, struct err *e)
{
    if (s->pattern_count == PATTERNS_MAX)
        return err_set(e, ERR_INTERNAL, "more than %d patterns", PATTERNS_MAX);
    struct pattern *p = &s->patterns[s->pattern_count];
    if (regcomp(&p->regex, text, REG_EXTENDED | REG_NOSUB) != 0)
        return err_set(e, ERR_INTERNAL, "the pattern %s is no regular expression", text);
    p->text = text;
    s->pattern_count++;
    return ERR_OK;
}

static enum err_code find_patterns(struct schemas *s, const json_t *node, struct err *e)
{
    enum err_code code = ERR_OK;
    const char *name;
    json_t *one;
    size_t i;
    json_object_foreach ((json_t *)node, name, one) {
        if (code)
            return code;
        code = strcmp(name, "pattern") == 0 && json_is_string(one)
                   ? add_pattern(s, json_string_value(one), e)
                   : find_patterns(s, one, e);
    }
    json_array_foreach (node, i, one)
        if (!code)
            code = find_patterns(s, one, e);
    return code;
}

enum err_code schemas_new(const json_t *document, struct schemas **ret, struct err *e)
{
    struct schemas *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for schemas");
    s->document = document;
    enum err_code code = find_patterns(s, document, e);
    if (code) {
        schemas_free(s);
        return code;
    }
    *ret = s;
    return ERR_OK;
}

void schemas_free(struct schemas *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->pattern_count; i++)
        regfree(&s->patterns[i].regex);
    free(s);
}
