#include "api/client/show.h"

#include "api/client/table.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

bool show_json(const struct client *c, enum outcome outcome, const struct http_reply *reply)
{
    if (c->json && reply->body.len)
        http_print(reply);
    return c->json || outcome != DONE;
}

enum outcome show_object(struct client *c, enum outcome outcome, struct http_reply *reply)
{
    if (!show_json(c, outcome, reply))
        table_print_object(reply->json);
    http_reply_fini(reply);
    return outcome;
}

/* "dataset_version" -> "DATASET VERSION" */
static void print_head(struct table *t, const char *name)
{
    char head[64];
    size_t n = strnlen(name, sizeof head - 1);
    for (size_t i = 0; i < n; i++)
        head[i] = (char)(name[i] == '_' ? ' ' : toupper((unsigned char)name[i]));
    head[n] = 0;
    table_cell(t, "%s", head);
}

void show_table(const json_t *list, const char *const *columns)
{
    struct table t;
    table_init(&t, NULL);
    for (const char *const *name = columns; *name; name++) {
        print_head(&t, *name);
        t.columns++;
    }
    size_t i;
    json_t *one;
    json_array_foreach (list, i, one)
        for (const char *const *name = columns; *name; name++)
            table_member(&t, one, *name);
    table_print(&t);
    table_fini(&t);
}

enum outcome show_list(struct client *c, const char *path, const char *member, ...)
{
    const char *columns[TABLE_COLUMNS + 1] = { NULL };
    va_list ap;
    va_start(ap, member);
    for (int i = 0; i < TABLE_COLUMNS && (columns[i] = va_arg(ap, const char *)); i++)
        ;
    va_end(ap);
    struct http_reply reply;
    enum outcome outcome = http_call(c->http, "GET", NULL, &reply, path, NULL);
    if (!show_json(c, outcome, &reply))
        show_table(json_object_get(reply.json, member), columns);
    http_reply_fini(&reply);
    return outcome;
}
