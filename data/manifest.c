#include "data/manifest.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* The longest line without its end, and a zero byte. */
enum { LINE_MAX_BYTES = DIGEST_HEX + sizeof "\ttrain\t" + LABEL_MAX };

enum err_code manifest_line(struct buf *ret, const struct digest *picture, enum split split,
                            const char *label, struct err *e)
{
    const char *split_name = split_text(split);
    if (!split_name)
        return err_set(e, ERR_INTERNAL, "a manifest's picture must have a split");
    enum err_code r = layout_check_label(label, e);
    if (r)
        return r;
    char hex[DIGEST_HEX + 1];
    digest_hex(picture, hex);
    if (ret->len) {
        const uint8_t *end = memrchr(ret->data, '\n', ret->len - 1);
        const uint8_t *line = end ? end + 1 : ret->data;
        if (memcmp(line, hex, DIGEST_HEX) >= 0)
            return err_set(e, ERR_INTERNAL, "manifest out of order at picture %s", hex);
    }
    return buf_printf(ret, e, "%s\t%s\t%s\n", hex, split_name, label);
}

/* The labels met so far in byte order, each with the number that items use for it until all are
 * known. */
struct known_label {
    char *text; /* owned */
    int number;
};

struct parser {
    struct manifest_item *items;
    size_t count, item_cap;
    struct known_label *labels;
    size_t label_count, label_cap;
};

static void parser_fini(struct parser *p)
{
    free(p->items);
    for (size_t i = 0; i < p->label_count; i++)
        free(p->labels[i].text);
    free(p->labels);
}

/* Doubles an array that is full. NULL without memory. */
static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    size_t more = *cap ? *cap * 2 : 64;
    void *grown = reallocarray(array, more, size);
    if (grown)
        *cap = more;
    return grown;
}

/* The number of the label, a new one if need be; -1 without memory. */
static int number_label(struct parser *p, const char *text)
{
    size_t low = 0, high = p->label_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(p->labels[middle].text, text);
        if (order == 0)
            return p->labels[middle].number;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct known_label *labels = grow(p->labels, p->label_count, &p->label_cap, sizeof *p->labels);
    if (!labels)
        return -1;
    p->labels = labels;
    char *copy = strdup(text);
    if (!copy)
        return -1;
    memmove(labels + low + 1, labels + low, (p->label_count - low) * sizeof *labels);
    labels[low] = (struct known_label){ copy, (int)p->label_count };
    p->label_count++;
    return labels[low].number;
}

static enum err_code parse_line(struct parser *p, const char *line, size_t len, struct err *e)
{
    size_t number = p->count + 1;
    char text[LINE_MAX_BYTES];
    if (len >= sizeof text || memchr(line, 0, len))
        return err_set(e, ERR_BLOB_CORRUPT, "manifest line %zu: too long or not text", number);
    memcpy(text, line, len);
    text[len] = 0;

    char *rest = text;
    const char *hex = strsep(&rest, "\t");
    const char *split = rest ? strsep(&rest, "\t") : NULL;
    const char *label = rest;
    struct manifest_item item;
    if (!digest_parse(hex, &item.picture))
        return err_set(e, ERR_BLOB_CORRUPT, "manifest line %zu: no digest", number);
    if (!split || !split_parse(split, &item.split))
        return err_set(e, ERR_BLOB_CORRUPT, "manifest line %zu: no split", number);
    if (!label || layout_check_label(label, NULL))
        return err_set(e, ERR_BLOB_CORRUPT, "manifest line %zu: no label", number);
    if (p->count && digest_compare(&p->items[p->count - 1].picture, &item.picture) >= 0)
        return err_set(e, ERR_BLOB_CORRUPT, "manifest line %zu: not in the order of digests",
                       number);

    struct manifest_item *items = grow(p->items, p->count, &p->item_cap, sizeof *p->items);
    if (items)
        p->items = items;
    item.label = items ? number_label(p, label) : -1;
    if (item.label < 0)
        return err_set(e, ERR_NOMEM, "no memory for a manifest of %zu lines", number);
    items[p->count++] = item;
    return ERR_OK;
}

/* Hands the parser's arrays on, labels renumbered to their place in byte order. */
static enum err_code finish(struct parser *p, struct manifest *ret, struct err *e)
{
    /* One more than none, because calloc(0) may say NULL. */
    int *place = calloc(p->label_count + 1, sizeof *place);
    char **labels = calloc(p->label_count + 1, sizeof *labels);
    if (!place || !labels) {
        free(place);
        free(labels);
        return err_set(e, ERR_NOMEM, "no memory for %zu labels", p->label_count);
    }
    for (size_t i = 0; i < p->label_count; i++) {
        place[p->labels[i].number] = (int)i;
        labels[i] = STEAL(p->labels[i].text);
    }
    for (size_t i = 0; i < p->count; i++)
        p->items[i].label = place[p->items[i].label];
    free(place);
    *ret = (struct manifest){ .items = STEAL(p->items),
                              .count = p->count,
                              .labels = labels,
                              .label_count = (int)p->label_count };
    return ERR_OK;
}

enum err_code manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e)
{
    CLEANUP(parser_fini) struct parser p = { 0 };
    while (len) {
        const char *end = memchr(text, '\n', len);
        if (!end)
            return err_set(e, ERR_BLOB_CORRUPT, "manifest line %zu: has no end", p.count + 1);
        enum err_code r = parse_line(&p, text, (size_t)(end - text), e);
        if (r)
            return r;
        len -= (size_t)(end + 1 - text);
        text = end + 1;
    }
    return finish(&p, ret, e);
}

void manifest_fini(struct manifest *m)
{
    for (int i = 0; i < m->label_count; i++)
        free(m->labels[i]);
    free(m->labels);
    free(m->items);
    *m = (struct manifest){ 0 };
}
