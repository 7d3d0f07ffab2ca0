#include "nn/ranges.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void range_fini(struct range *r)
{
    free(r->name);
    free(r->channels);
}

void ranges_fini(struct ranges *r)
{
    for (int i = 0; i < r->count; i++)
        range_fini(&r->list[i]);
    free(r->list);
    *r = (struct ranges){ 0 };
}

static int by_name(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return strcmp(x->name, y->name);
}

const struct range *ranges_find(const struct ranges *r, const char *name)
{
    const struct range key = { .name = (char *)name };
    return r->count ? bsearch(&key, r->list, (size_t)r->count, sizeof *r->list, by_name) : NULL;
}

enum { DIGITS = 6 };

static json_t *channels_json(const struct range *x)
{
    size_t len = (size_t)x->count * DIGITS;
    char *text = malloc(len + 1);
    if (!text)
        return NULL;
    for (int c = 0; c < x->count; c++)
        snprintf(text + (size_t)c * DIGITS, DIGITS + 1, "%02x%02x%02x", x->channels[c].most,
                 (uint8_t)x->channels[c].mean, x->channels[c].size);
    json_t *ret = json_stringn(text, len);
    free(text);
    return ret;
}

enum err_code ranges_write(const struct ranges *r, struct buf *ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *object = json_object();
    if (!object)
        return err_set(e, ERR_NOMEM, "no memory for ranges");
    for (int i = 0; i < r->count; i++) {
        const struct range *x = &r->list[i];
        json_t *name = json_string(x->name);
        if (!name)
            continue;
        json_decref(name);
        /* Takes the last item, also where it fails. */
        json_t *item = json_pack("[f, f, o]", (double)x->low, (double)x->high, channels_json(x));
        enum err_code c = json_put(object, x->name, item, e);
        if (c)
            return c;
    }
    return json_write(object, ret, e);
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_byte(const char *at, uint8_t *ret)
{
    int high = digit_of(at[0]), low = high < 0 ? -1 : digit_of(at[1]);
    if (low < 0)
        return false;
    *ret = (uint8_t)(high << 4 | low);
    return true;
}

static const char no_memory[] = "no memory";

/* Returns the rule that is broken, or NULL; what was taken is in ret. */
static const char *read_channels(const json_t *text, struct range *ret)
{
    size_t count = json_string_length(text) / DIGITS;
    const char *at = json_string_value(text);
    if (!at || json_string_length(text) % DIGITS || count > RANGES_MAX)
        return "channels must be a text of six hex digits each";
    ret->channels = calloc(count + 1, sizeof *ret->channels);
    if (!ret->channels)
        return no_memory;
    for (; ret->count < (int)count; ret->count++, at += DIGITS) {
        struct range_channel *c = &ret->channels[ret->count];
        uint8_t mean;
        if (!read_byte(at, &c->most) || !read_byte(at + 2, &mean) || !read_byte(at + 4, &c->size))
            return "channels must be a text of six hex digits each";
        if (!c->most)
            return "a channel's largest entry must be at least 1";
        c->mean = (int8_t)mean;
    }
    return NULL;
}

static const char *read_one(const char *name, const json_t *item, struct range *ret)
{
    const json_t *low = json_array_get(item, 0), *high = json_array_get(item, 1);
    if (json_array_size(item) != 3 || !json_is_number(low) || !json_is_number(high))
        return "must be [low, high, channels]";
    double bounds[] = { json_number_value(low), json_number_value(high) };
    if (!(bounds[0] >= -(double)FLT_MAX && bounds[0] <= 0 && bounds[1] >= 0 &&
          bounds[1] <= (double)FLT_MAX))
        return "bounds must be finite with low <= 0 <= high";
    ret->low = (float)bounds[0];
    ret->high = (float)bounds[1];
    if (ret->low == 0 && ret->high == 0)
        return "one bound must not be 0";
    ret->name = strdup(name);
    return ret->name ? read_channels(json_array_get(item, 2), ret) : no_memory;
}

enum err_code ranges_read(const char *text, struct ranges *ret, struct err *e)
{
    CLEANUP(ranges_fini) struct ranges r = { 0 };
    CLEANUP(json_decref_p) json_t *object = NULL;
    enum err_code code = json_read(text, strlen(text), &object, e);
    if (code == ERR_NOMEM)
        return code;
    size_t count = code ? 0 : json_object_size(object);
    if (!count || count > RANGES_MAX)
        return err_set(e, ERR_ONNX_GRAPH, "ranges in the metadata: not an object of 1 to %d items",
                       RANGES_MAX);
    r.list = calloc(count, sizeof *r.list);
    if (!r.list)
        return err_set(e, ERR_NOMEM, "no memory for %zu ranges", count);
    const char *name;
    json_t *item;
    json_object_foreach (object, name, item) {
        const char *broken = read_one(name, item, &r.list[r.count++]);
        if (broken)
            return err_set(e, broken == no_memory ? ERR_NOMEM : ERR_ONNX_GRAPH,
                           "ranges in the metadata: \"%.120s\": %s", name, broken);
    }
    qsort(r.list, (size_t)r.count, sizeof *r.list, by_name);
    *ret = r;
    r = (struct ranges){ 0 };
    return ERR_OK;
}
