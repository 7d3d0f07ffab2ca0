#include "nn/picture_source.h"

#include "data/base/cleanup.h"

#include <string.h>

enum { PICTURE_BYTES_MAX = 1 << 30 };

struct picture_source {
    struct blobs *blobs;
    const struct preprocess *pre;
    struct image_limits limits;
    struct preprocess_scratch *scratch;
    struct augment_scratch *augment; /* made when it is needed */
    struct buf bytes;
};

CLEANUP_DEFINE(struct picture_source, picture_source_free);

enum err_code picture_source_new(struct blobs *blobs, const struct preprocess *pre,
                                 const struct image_limits *limits, struct picture_source **ret,
                                 struct err *e)
{
    CLEANUP(picture_source_free_p) struct picture_source *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for pictures");
    s->blobs = blobs;
    s->pre = pre;
    s->limits = *limits;
    buf_init(&s->bytes, PICTURE_BYTES_MAX);
    enum err_code r = preprocess_scratch_new(&s->scratch, e);
    if (!r)
        *ret = STEAL(s);
    return r;
}

void picture_source_free(struct picture_source *s)
{
    if (!s)
        return;
    preprocess_scratch_free(s->scratch);
    augment_scratch_free(s->augment);
    buf_fini(&s->bytes);
    free(s);
}

/* The import decoded this very file, so a refusal now is no longer the user's doing. */
static enum err_code explain_decode(enum err_code r, const struct digest *picture, struct err *e)
{
    if (err_is_fault(r))
        return r;
    char hex[DIGEST_HEX + 1], message[sizeof((struct err){ 0 }.message)];
    digest_hex(picture, hex);
    memcpy(message, e->message, sizeof message);
    return err_set(e, ERR_BLOB_CORRUPT, "picture %s was imported, but now: %.400s", hex, message);
}

enum err_code picture_source_get(struct picture_source *s, const struct digest *picture, int view,
                                 float *ret, struct err *e)
{
    buf_reset(&s->bytes);
    enum err_code r = blobs_get(s->blobs, picture, true, &s->bytes, e);
    if (r)
        return r;
    r = preprocess_file(s->pre, s->scratch, s->bytes.data, s->bytes.len, &s->limits, view, ret, e);
    return r ? explain_decode(r, picture, e) : ERR_OK;
}

enum err_code picture_source_augmented(struct picture_source *s, const struct digest *picture,
                                       const struct augment *augment, int view, float *ret,
                                       struct err *e)
{
    uint64_t item;
    memcpy(&item, picture->bytes, sizeof item);
    buf_reset(&s->bytes);
    enum err_code r = s->augment ? ERR_OK : augment_scratch_new(&s->augment, e);
    if (!r)
        r = blobs_get(s->blobs, picture, true, &s->bytes, e);
    if (r)
        return r;
    r = augment_file(augment, s->pre, s->augment, s->bytes.data, s->bytes.len, &s->limits, 0,
                     (uint64_t)view, item, ret, e);
    return r ? explain_decode(r, picture, e) : ERR_OK;
}
