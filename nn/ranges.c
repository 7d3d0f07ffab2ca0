#include "nn/ranges.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <math.h>
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

/* False also without memory; what was taken is in ret. */
static bool read_channels(const json_t *text, struct range *ret)
{
    size_t count = json_string_length(text) / DIGITS;
    const char *at = json_string_value(text);
    if (!at || json_string_length(text) % DIGITS || count > RANGES_MAX ||
        !(ret->channels = calloc(count + 1, sizeof *ret->channels)))
        return false;
    for (; ret->count < (int)count; ret->count++, at += DIGITS) {
        struct range_channel *c = &ret->channels[ret->count];
        uint8_t mean;
        if (!read_byte(at, &c->most) || !read_byte(at + 2, &mean) || !read_byte(at + 4, &c->size) ||
            !c->most)
            return false;
        c->mean = (int8_t)mean;
    }
    return true;
}

static bool read_one(const char *name, const json_t *item, struct range *ret)
{
    const json_t *low = json_array_get(item, 0), *high = json_array_get(item, 1);
    if (json_array_size(item) != 3 || !json_is_number(low) || !json_is_number(high))
        return false;
    ret->low = (float)json_number_value(low);
    ret->high = (float)json_number_value(high);
    if (!isfinite(ret->low) || !isfinite(ret->high) || ret->low > 0 || ret->high < 0 ||
        (ret->low == 0 && ret->high == 0))
        return false;
    ret->name = strdup(name);
    return ret->name && read_channels(json_array_get(item, 2), ret);
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
        if (!read_one(name, item, &r.list[r.count++]))
            return err_set(e, ERR_ONNX_GRAPH,
                           "range of \"%.120s\" in the metadata: not two bounds and channels",
                           name);
    }
    qsort(r.list, (size_t)r.count, sizeof *r.list, by_name);
    *ret = r;
    r = (struct ranges){ 0 };
    return ERR_OK;
}
