#include "nn/precision.h"

#include "data/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

enum { TEXTS = 3, RANGES_TEXT_MAX = 1 << 25 };

static const char *const texts[TEXTS] = { "fp32", "int8", "auto" };

const char *precision_text(enum precision p)
{
    return texts[p];
}

bool precision_parse(const char *text, enum precision *ret)
{
    for (int i = 0; i < TEXTS; i++)
        if (strcmp(text, texts[i]) == 0) {
            *ret = (enum precision)i;
            return true;
        }
    return false;
}

void integers_fini(struct integers *i)
{
    ranges_fini(&i->ranges);
    free(i->text);
    *i = (struct integers){ 0 };
}

enum err_code integers_parse(const char *text, struct integers *ret, struct err *e)
{
    CLEANUP(integers_fini) struct integers i = { 0 };
    if (strlen(text) > RANGES_TEXT_MAX)
        return err_set(e, ERR_ONNX_GRAPH, PRECISION_META_RANGES ": %zu bytes, the limit is %d",
                       strlen(text), RANGES_TEXT_MAX);
    i.text = strdup(text);
    if (!i.text)
        return err_set(e, ERR_NOMEM, "no memory for ranges");
    enum err_code r = digest_of(text, strlen(text), &i.digest, e);
    if (!r)
        r = ranges_read(text, &i.ranges, e);
    if (r)
        return r;
    *ret = i;
    i = (struct integers){ 0 };
    return ERR_OK;
}

/* By way of the text, so that a job goes on with the very ranges that the file will have. */
enum err_code integers_from(const struct ranges *r, struct integers *ret, struct err *e)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, RANGES_TEXT_MAX);
    enum err_code code = ranges_write(r, &text, e);
    return code ? code : integers_parse((const char *)text.data, ret, e);
}

enum err_code integers_of_network(const struct network *n, struct integers *ret, struct err *e)
{
    const char *text = network_meta(n, PRECISION_META);
    const char *ranges = network_meta(n, PRECISION_META_RANGES);
    enum precision p = PRECISION_FP32;
    if (text && (!precision_parse(text, &p) || p == PRECISION_AUTO))
        return err_set(e, ERR_ONNX_GRAPH,
                       PRECISION_META " must be \"fp32\" or \"int8\", is \"%.60s\"", text);
    if (p == PRECISION_FP32) {
        *ret = (struct integers){ 0 };
        return ERR_OK;
    }
    if (!ranges)
        return err_set(e, ERR_ONNX_GRAPH, PRECISION_META " is int8, but there is no %s",
                       PRECISION_META_RANGES);
    return integers_parse(ranges, ret, e);
}

enum err_code precision_feature_key(const struct backbone *b, const struct integers *i,
                                    struct digest *ret, struct err *e)
{
    enum { KEY_TEXT_MAX = 512 };
    char key[DIGEST_HEX + 1], ranges[DIGEST_HEX + 1];
    struct digest floats;
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, KEY_TEXT_MAX);
    enum err_code r = backbone_feature_key(b, &floats, e);
    if (r || !i || !i->text) {
        if (!r)
            *ret = floats;
        return r;
    }
    digest_hex(&floats, key);
    digest_hex(&i->digest, ranges);
    r = buf_printf(&text, e, "kennel int8 features 1\n%s\n%s\n", key, ranges);
    return r ? r : digest_of(text.data, text.len, ret, e);
}
