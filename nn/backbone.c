#include "nn/backbone.h"

#include "data/base/buf.h"
#include "data/base/cleanup.h"
#include "nn/plan.h"
#include "nn/preprocess_meta.h"

#include <string.h>

enum { KEY_TEXT_MAX = 8192 };

void backbone_fini(struct backbone *b)
{
    network_free(b->network);
    free(b->feature);
    *b = (struct backbone){ 0 };
}

enum err_code backbone_open(const void *bytes, size_t len,
                            const struct backbone_overrides *overrides, struct backbone *ret,
                            struct err *e)
{
    CLEANUP(backbone_fini) struct backbone b = { 0 };
    const char *feature = NULL;
    enum err_code r = network_load(bytes, len, &b.network, e);
    if (!r)
        r = network_feature(b.network, overrides ? overrides->feature : NULL, &feature, &b.width,
                            e);
    if (!r)
        r = preprocess_meta_read(b.network, overrides, &b.pre, e);
    if (!r)
        r = digest_of(bytes, len, &b.digest, e);
    if (r)
        return r;
    b.feature = strdup(feature);
    if (!b.feature)
        return err_set(e, ERR_NOMEM, "no memory for a backbone");
    *ret = b;
    b = (struct backbone){ 0 };
    return ERR_OK;
}

enum err_code backbone_feature_key(const struct backbone *b, struct digest *ret, struct err *e)
{
    char hex[DIGEST_HEX + 1], pre[PREPROCESS_TEXT];
    digest_hex(&b->digest, hex);
    preprocess_text(&b->pre, pre);
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, KEY_TEXT_MAX);
    enum err_code r = buf_printf(&text, e, "kennel features 1\n%s\n%s\n%s\n%s\n", hex, b->feature,
                                 pre, plan_engine_text());
    return r ? r : digest_of(text.data, text.len, ret, e);
}
