#include "api/client/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns on the screen: UTF-8 continuation bytes take none. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Takes text. */
static void add(struct table *t, char *text)
{
    char **grown = realloc(t->cells, (t->count + 1) * sizeof *grown);
    if (!grown) {
        free(text);
        return;
    }
    t->cells = grown;
    t->cells[t->count++] = text;
}

void table_init(struct table *t, ...)
{
    *t = (struct table){ 0 };
    va_list ap;
    va_start(ap, t);
    for (const char *head; (head = va_arg(ap, const char *));) {
        add(t, strdup(head));
        t->columns++;
    }
    va_end(ap);
    assert(t->columns <= TABLE_COLUMNS);
}

void table_fini(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
}

void table_cell(struct table *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    char *text = NULL;
    if (vasprintf(&text, format, ap) < 0)
        text = NULL;
    va_end(ap);
    add(t, text);
}

static char *value_text(const json_t *value)
{
    char *text = NULL;
    if (!value || json_is_null(value))
        return strdup("-");
    if (json_is_string(value))
        return strdup(json_string_value(value));
    if (json_is_real(value))
        return asprintf(&text, "%.6g", json_real_value(value)) < 0 ? NULL : text;
    return json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
}

void table_member(struct table *t, const json_t *object, const char *name)
{
    add(t, value_text(json_object_get(object, name)));
}

void table_print(const struct table *t)
{
    size_t widths[TABLE_COLUMNS] = { 0 };
    size_t columns = (size_t)t->columns;
    for (size_t i = 0; i < t->count; i++) {
        size_t w = t->cells[i] ? width(t->cells[i]) : 0;
        if (w > widths[i % columns])
            widths[i % columns] = w;
    }
    for (size_t i = 0; i < t->count; i++) {
        const char *text = t->cells[i] ? t->cells[i] : "";
        bool last = i % columns == columns - 1;
        printf("%s%*s", text, last ? 0 : (int)(widths[i % columns] - width(text) + 2), "");
        if (last)
            putchar('\n');
    }
}

void table_print_object(const json_t *object)
{
    const char *name;
    json_t *value;
    size_t widest = 0;
    json_object_foreach ((json_t *)object, name, value)
        if (strlen(name) > widest)
            widest = strlen(name);
    json_object_foreach ((json_t *)object, name, value) {
        char *text = value_text(value);
        printf("%-*s  %s\n", (int)widest, name, text ? text : "");
        free(text);
    }
}
