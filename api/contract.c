#include "api/contract.h"

#include "api/request.h"
#include "api/schema.h"
#include "data/base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMETERS_MAX = 12, TEXT = 120 };

struct parameter {
    const char *name; /* borrowed from the document, as all of these */
    const json_t *schema;
    bool required;
};

struct parameters {
    int count;
    struct parameter all[PARAMETERS_MAX];
};

struct operation {
    const struct route *route; /* they are sorted by it */
    struct parameters query, headers;
    bool any_query, body_required;
    const json_t *body; /* a schema; NULL: takes no JSON */
};

struct contract {
    json_t *document; /* owned */
    struct schemas *schemas;
    struct operation *operations;
    size_t count;
};

static int by_route(const void *a, const void *b)
{
    const struct operation *x = a, *y = b;
    return (x->route > y->route) - (x->route < y->route);
}

static const struct operation *find(const struct contract *c, const struct route *route)
{
    struct operation key = { .route = route };
    return bsearch(&key, c->operations, c->count, sizeof key, by_route);
}

/* -- checks ----------------------------------------------------------------------------------- */

static const struct parameter *find_parameter(const struct parameters *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->all[i].name, name) == 0)
            return &p->all[i];
    return NULL;
}

static enum err_code check_query_value(const struct contract *c, const struct operation *o,
                                       const struct request_pair *pair, struct err *e)
{
    const struct parameter *p = find_parameter(&o->query, pair->name);
    if (!p)
        return o->any_query ? ERR_OK
                            : err_set(e, ERR_FIELD_UNKNOWN, "unknown query parameter \"%.100s\"",
                                      pair->name);
    char what[TEXT];
    snprintf(what, sizeof what, "query parameter \"%s\"", p->name);
    return schemas_check_text(c->schemas, p->schema, pair->value, what, e);
}

enum err_code contract_check_query(const struct contract *c, const struct route *route,
                                   const struct request_pair *query, int count, struct err *e)
{
    const struct operation *o = find(c, route);
    for (int i = 0; i < count; i++) {
        enum err_code code = check_query_value(c, o, &query[i], e);
        if (code)
            return code;
    }
    for (int i = 0; i < o->query.count; i++) {
        bool there = !o->query.all[i].required;
        for (int k = 0; k < count && !there; k++)
            there = strcmp(query[k].name, o->query.all[i].name) == 0;
        if (!there)
            return err_set(e, ERR_FIELD_MISSING, "query parameter \"%s\" is missing",
                           o->query.all[i].name);
    }
    return ERR_OK;
}

enum err_code contract_check_headers(const struct contract *c, const struct route *route,
                                     const char *(*get)(void *, const char *), void *context,
                                     struct err *e)
{
    const struct operation *o = find(c, route);
    for (int i = 0; i < o->headers.count; i++) {
        const struct parameter *p = &o->headers.all[i];
        const char *value = get(context, p->name);
        if (!value && p->required)
            return err_set(e, ERR_FIELD_MISSING, "header %s is missing", p->name);
        enum err_code code =
            value ? schemas_check_text(c->schemas, p->schema, value, p->name, e) : ERR_OK;
        if (code)
            return code;
    }
    return ERR_OK;
}

enum err_code contract_check_body(const struct contract *c, const struct route *route,
                                  const json_t *body, struct err *e)
{
    const struct operation *o = find(c, route);
    return o->body ? schemas_check(c->schemas, o->body, body, "the request", e) : ERR_OK;
}

bool contract_needs_body(const struct contract *c, const struct route *route)
{
    return find(c, route)->body_required;
}

/* -- reading the document --------------------------------------------------------------------- */

static enum err_code add_parameter(const struct contract *c, const json_t *node,
                                   struct operation *o, struct err *e)
{
    node = schemas_resolve(c->schemas, node);
    const char *name = json_string_value(json_object_get(node, "name"));
    const char *in = json_string_value(json_object_get(node, "in"));
    const json_t *schema = json_object_get(node, "schema");
    if (!name || !in || !schema)
        return err_set(e, ERR_INTERNAL, "a parameter without name, in or schema");
    struct parameters *to = strcmp(in, "query") == 0    ? &o->query
                            : strcmp(in, "header") == 0 ? &o->headers
                                                        : NULL;
    if (!to) /* a path's: what is no name there is is an unknown one */
        return ERR_OK;
    if (to->count == PARAMETERS_MAX)
        return err_set(e, ERR_INTERNAL, "more than %d parameters", PARAMETERS_MAX);
    to->all[to->count++] = (struct parameter){
        .name = name, .schema = schema, .required = json_is_true(json_object_get(node, "required"))
    };
    return schemas_know(c->schemas, schema, e);
}

static enum err_code read_operation(const struct contract *c, const json_t *node,
                                    struct operation *o, struct err *e)
{
    size_t i;
    json_t *parameter;
    enum err_code code = ERR_OK;
    json_array_foreach (json_object_get(node, "parameters"), i, parameter) {
        code = add_parameter(c, parameter, o, e);
        if (code)
            return code;
    }
    const json_t *body = json_object_get(node, "requestBody");
    const json_t *json = json_object_get(json_object_get(body, "content"), "application/json");
    o->any_query = json_is_true(json_object_get(node, "x-kennel-any-query"));
    o->body = json_object_get(json, "schema");
    o->body_required = json_is_true(json_object_get(body, "required"));
    return o->body ? schemas_know(c->schemas, o->body, e) : ERR_OK;
}

static enum err_code add_route(struct contract *c, const struct route *route, struct err *e)
{
    char method[16];
    size_t n = 0;
    for (; route->method[n] && n + 1 < sizeof method; n++)
        method[n] = (char)(route->method[n] | 0x20);
    method[n] = 0;
    const json_t *path = json_object_get(json_object_get(c->document, "paths"), route->pattern);
    const json_t *node = json_object_get(path, method);
    struct operation *o = &c->operations[c->count];
    *o = (struct operation){ .route = route };
    struct err cause;
    if (!node)
        return err_set(e, ERR_INTERNAL, "the description has no %s %s", route->method,
                       route->pattern);
    enum err_code code = read_operation(c, node, o, &cause);
    if (code)
        return err_set(e, code, "the description of %s %s: %s", route->method, route->pattern,
                       cause.message);
    c->count++;
    return ERR_OK;
}

static enum err_code add_routes(struct contract *c, const struct route *const *routes,
                                struct err *e)
{
    size_t count = 0;
    for (const struct route *const *table = routes; *table; table++)
        for (const struct route *route = *table; route->method; route++)
            count++;
    c->operations = calloc(count + 1, sizeof *c->operations);
    if (!c->operations)
        return err_set(e, ERR_NOMEM, "no memory for the description of the API");
    for (const struct route *const *table = routes; *table; table++)
        for (const struct route *route = *table; route->method; route++) {
            enum err_code code = add_route(c, route, e);
            if (code)
                return code;
        }
    qsort(c->operations, c->count, sizeof *c->operations, by_route);
    return ERR_OK;
}

CLEANUP_DEFINE(struct contract, contract_free);

enum err_code contract_new(const char *text, size_t len, const struct route *const *routes,
                           struct contract **ret, struct err *e)
{
    CLEANUP(contract_free_p) struct contract *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for the description of the API");
    enum err_code code = json_read(text, len, &c->document, e);
    if (!code)
        code = schemas_new(c->document, &c->schemas, e);
    if (!code)
        code = add_routes(c, routes, e);
    if (code)
        return code;
    *ret = STEAL(c);
    return ERR_OK;
}

void contract_free(struct contract *c)
{
    if (!c)
        return;
    free(c->operations);
    schemas_free(c->schemas);
    json_decref(c->document);
    free(c);
}
