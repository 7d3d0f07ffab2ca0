#include "api/router.h"

#include <stdio.h>
#include <string.h>

static size_t segment(const char *text)
{
    return strcspn(text, "/");
}

/* A segment up to its verb. */
static size_t word(const char *text)
{
    return strcspn(text, "/:");
}

/* Splits path as the pattern says, without changing it: ret values point at their first byte. 0: no
 * match; else 1 + the number of literal segments, so that the most literal pattern wins. */
static int match(const char *pattern, const char *path, struct route_match *ret)
{
    int literal = 1;
    ret->count = 0;
    while (*pattern == '/' && *path == '/') {
        size_t want = segment(++pattern);
        size_t have = segment(++path);
        if (want > 1 && pattern[0] == '{') {
            size_t name = word(pattern), value = word(path);
            if (!value || ret->count == ROUTE_PARAMS || want - name != have - value ||
                memcmp(pattern + name, path + value, want - name) != 0)
                return 0;
            ret->names[ret->count] = pattern;
            ret->values[ret->count++] = path;
        } else if (want == have && memcmp(pattern, path, want) == 0) {
            literal++;
        } else {
            return 0;
        }
        pattern += want;
        path += have;
    }
    return *pattern || *path ? 0 : literal;
}

static void allow(struct route_match *m, const char *method)
{
    size_t at = strlen(m->allow);
    if (!strstr(m->allow, method))
        snprintf(m->allow + at, sizeof m->allow - at, "%s%s", at ? ", " : "", method);
}

static void end_values(struct route_match *m)
{
    for (int i = 0; i < m->count; i++) {
        char *value = m->path + (m->values[i] - m->path);
        value[word(value)] = 0;
    }
}

enum err_code router_find(const struct route *const *tables, const char *method, const char *path,
                          struct route_match *ret, struct err *e)
{
    size_t len = strlen(path);
    if (len >= ROUTE_PATH)
        return err_set(e, ERR_ROUTE_UNKNOWN, "no such path (of %zu bytes)", len);
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

    *ret = (struct route_match){ 0 };
    memcpy(ret->path, path, len + 1);
    struct route_match best = { 0 };
    int best_literal = 0;
    for (; *tables; tables++)
        for (const struct route *route = *tables; route->method; route++) {
            int literal = match(route->pattern, ret->path, ret);
            if (!literal)
                continue;
            allow(ret, route->method);
            if (strcmp(route->method, "GET") == 0)
                allow(ret, "HEAD");
            if (strcmp(route->method, wanted) != 0 || literal <= best_literal)
                continue;
            best_literal = literal;
            best.route = route;
            best.count = ret->count;
            memcpy(best.names, ret->names, sizeof best.names);
            memcpy(best.values, ret->values, sizeof best.values);
        }
    if (best.route) {
        ret->route = best.route;
        ret->count = best.count;
        memcpy(ret->names, best.names, sizeof best.names);
        memcpy(ret->values, best.values, sizeof best.values);
        end_values(ret);
        return ERR_OK;
    }
    if (ret->allow[0])
        return err_set(e, ERR_METHOD_NOT_ALLOWED, "%.20s is not allowed here; allowed: %s", method,
                       ret->allow);
    return err_set(e, ERR_ROUTE_UNKNOWN, "no such path: %.200s", path);
}
