/* Memory is taken in few large pieces so that the system can use large pages: a pass over 100 MB
 * of weights in pages of 4 KB misses the translation buffer all the time. */
#include "nn/weights.h"

#include "data/base/list.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SMALL_PAGE = 4 << 10, LARGE_PAGE = 2 << 20, SLAB = 4 << 20 };

struct key {
    uint64_t hash[2];
    size_t len;
};

struct piece {
    struct key key;
    struct dnn_layout *from, *to; /* owned; NULL: as it came */
    void *data;                   /* in a slab */
};

struct slab {
    uint8_t *data; /* owned */
    size_t used, size;
};

struct weights {
    pthread_mutex_t mu;
    /* guarded by mu */
    int refs;
    struct piece *pieces; /* owned */
    int count, max;
    struct slab *slabs; /* owned */
    int slab_count, slab_max;
    size_t bytes;
};

static void piece_fini(struct piece *x)
{
    dnn_layout_free(x->from);
    dnn_layout_free(x->to);
}

static enum err_code no_memory(size_t bytes, struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for %zu bytes of weights", bytes);
}

void *weights_pages(size_t bytes)
{
    void *data = NULL;
    size_t room = (bytes / SMALL_PAGE + 1) * SMALL_PAGE;
    bool large = room >= LARGE_PAGE;
    if (posix_memalign(&data, large ? LARGE_PAGE : SMALL_PAGE, room))
        return NULL;
    if (large)
        madvise(data, room, MADV_HUGEPAGE); /* advice: nothing is lost when it is not taken */
    return data;
}

enum err_code weights_new(struct weights **ret, struct err *e)
{
    struct weights *w = calloc(1, sizeof *w);
    if (!w)
        return no_memory(sizeof *w, e);
    pthread_mutex_init(&w->mu, NULL);
    w->refs = 1;
    *ret = w;
    return ERR_OK;
}

struct weights *weights_ref(struct weights *w)
{
    pthread_mutex_lock(&w->mu);
    w->refs++;
    pthread_mutex_unlock(&w->mu);
    return w;
}

void weights_unref(struct weights *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mu);
    int left = --w->refs;
    pthread_mutex_unlock(&w->mu);
    if (left)
        return;
    for (int i = 0; i < w->count; i++)
        piece_fini(&w->pieces[i]);
    for (int i = 0; i < w->slab_count; i++)
        free(w->slabs[i].data);
    pthread_mutex_destroy(&w->mu);
    free(w->pieces);
    free(w->slabs);
    free(w);
}

size_t weights_bytes(struct weights *w)
{
    pthread_mutex_lock(&w->mu);
    size_t bytes = w->bytes;
    pthread_mutex_unlock(&w->mu);
    return bytes;
}

/* Each lane's step is a bijection of what is new, so that one changed word never goes unseen. */
static struct key key_of(const void *data, size_t len)
{
    uint64_t lanes[4] = { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9,
                          0x27d4eb2f165667c5 };
    const uint8_t *at = data;
    for (size_t left = len; left; left -= left < sizeof lanes ? left : sizeof lanes) {
        uint64_t words[4] = { 0 };
        memcpy(words, at, left < sizeof words ? left : sizeof words);
        at += sizeof words;
        for (int i = 0; i < 4; i++) {
            lanes[i] = (lanes[i] ^ words[i]) * 0xff51afd7ed558ccd;
            lanes[i] ^= lanes[i] >> 32;
        }
    }
    struct key k = { { lanes[0], lanes[1] }, len };
    for (int i = 0; i < 2; i++) {
        k.hash[i] = (k.hash[i] ^ lanes[i + 2] * 0xc4ceb9fe1a85ec53) * 0xff51afd7ed558ccd;
        k.hash[i] ^= k.hash[i] >> 33;
    }
    return k;
}

static bool same_layout(const struct dnn_layout *a, const struct dnn_layout *b)
{
    return a && b ? dnn_layout_same(a, b) : !a && !b;
}

static void *find(const struct weights *w, const struct key *key, const struct dnn_layout *from,
                  const struct dnn_layout *to)
{
    for (int i = 0; i < w->count; i++) {
        const struct piece *x = &w->pieces[i];
        if (x->key.hash[0] == key->hash[0] && x->key.hash[1] == key->hash[1] &&
            x->key.len == key->len && same_layout(x->from, from) && same_layout(x->to, to))
            return x->data;
    }
    return NULL;
}

/* The slab that has the room; it is not taken yet. */
static struct slab *slab_for(struct weights *w, size_t room)
{
    struct slab *last = w->slab_count ? &w->slabs[w->slab_count - 1] : NULL;
    if (last && last->size - last->used >= room)
        return last;
    if (!list_grow((void **)&w->slabs, w->slab_count, &w->slab_max, sizeof *w->slabs))
        return NULL;
    size_t size = room > SLAB ? room : SLAB;
    uint8_t *data = weights_pages(size);
    if (!data)
        return NULL;
    last = &w->slabs[w->slab_count++];
    *last = (struct slab){ .data = data, .size = size };
    return last;
}

static enum err_code add(struct weights *w, const struct piece *like, size_t bytes,
                         weights_fill *fill, void *context, void **ret, struct err *e)
{
    size_t room = (bytes / DNN_ALIGN + 1) * DNN_ALIGN;
    if (!list_grow((void **)&w->pieces, w->count, &w->max, sizeof *w->pieces))
        return no_memory(room, e);
    struct slab *slab = slab_for(w, room);
    struct piece x = { .key = like->key,
                       .from = like->from ? dnn_layout_copy(like->from) : NULL,
                       .to = like->to ? dnn_layout_copy(like->to) : NULL };
    enum err_code r = ERR_OK;
    if (!slab || !x.from != !like->from || !x.to != !like->to)
        r = no_memory(room, e);
    if (!r) {
        x.data = slab->data + slab->used;
        r = fill(context, x.data, e);
    }
    if (r) {
        piece_fini(&x);
        return r;
    }
    slab->used += room;
    w->bytes += room;
    w->pieces[w->count++] = x;
    *ret = x.data;
    return ERR_OK;
}

enum err_code weights_share(struct weights *w, const void *data, size_t len,
                            const struct dnn_layout *from, const struct dnn_layout *to,
                            size_t bytes, weights_fill *fill, void *context, void **ret,
                            struct err *e)
{
    const struct piece like = { .key = key_of(data, len),
                                .from = (struct dnn_layout *)from,
                                .to = (struct dnn_layout *)to };
    enum err_code r = ERR_OK;
    pthread_mutex_lock(&w->mu);
    void *there = find(w, &like.key, from, to);
    if (!there)
        r = add(w, &like, bytes, fill, context, &there, e);
    pthread_mutex_unlock(&w->mu);
    if (!r)
        *ret = there;
    return r;
}
