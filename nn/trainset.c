#include "nn/trainset.h"

#include "data/base/cleanup.h"

#include <string.h>

void trainset_fini(struct trainset *t)
{
    manifest_fini(&t->manifest);
    free(t->items);
    free(t->y);
    free(t->picture);
    *t = (struct trainset){ 0 };
}

static enum err_code check_classes(struct trainset *t, const size_t *train, struct err *e)
{
    const struct manifest *m = &t->manifest;
    if (m->label_count < 2)
        return err_set(e, ERR_DATASET_ONE_CLASS, "the dataset has one class only: \"%s\"",
                       m->labels[0]);
    t->smallest = SIZE_MAX;
    for (int c = 0; c < m->label_count; c++) {
        if (train[c] < 2)
            return err_set(e, ERR_CLASS_TOO_SMALL,
                           "class \"%s\" has %zu of the 2 training pictures that it needs",
                           m->labels[c], train[c]);
        t->smallest = train[c] < t->smallest ? train[c] : t->smallest;
        t->largest = train[c] > t->largest ? train[c] : t->largest;
    }
    return ERR_OK;
}

/* The split that decides, and whether there is enough of everything to train. */
static enum err_code check_dataset(struct trainset *t, struct err *e)
{
    const struct manifest *m = &t->manifest;
    size_t splits[3] = { 0 };
    CLEANUP(cleanup_free) size_t *train = calloc((size_t)m->label_count + 1, sizeof *train);
    if (!train)
        return err_set(e, ERR_NOMEM, "no memory for %d labels", m->label_count);
    for (size_t i = 0; i < m->count; i++) {
        splits[m->items[i].split]++;
        if (m->items[i].split == SPLIT_TRAIN)
            train[m->items[i].label]++;
    }
    if (splits[SPLIT_TRAIN] == 0)
        return err_set(e, ERR_DATASET_EMPTY, "the dataset has no pictures to train on");
    if (m->count > INT32_MAX / PREPROCESS_VIEWS_MAX)
        return err_set(e, ERR_FIELD_RANGE, "%zu pictures are more than one training can hold",
                       m->count);
    enum err_code r = check_classes(t, train, e);
    if (r)
        return r;
    t->holdout = splits[SPLIT_TEST] ? SPLIT_TEST : SPLIT_VAL;
    t->train_pictures = splits[SPLIT_TRAIN];
    if (splits[t->holdout] == 0)
        return err_set(e, ERR_HOLDOUT_EMPTY,
                       "the dataset has no pictures in the splits test or val to judge by");
    return ERR_OK;
}

static void add_row(struct trainset *t, size_t picture, int view)
{
    const struct manifest_item *item = &t->manifest.items[picture];
    size_t at = t->all++;
    t->items[at] = (struct features_item){ item->picture, view };
    t->y[at] = item->label;
    t->picture[at] = (int)picture;
}

static enum err_code make_rows(struct trainset *t, int views, struct err *e)
{
    const struct manifest *m = &t->manifest;
    size_t most = m->count * (size_t)views;
    t->items = calloc(most, sizeof *t->items);
    t->y = calloc(most, sizeof *t->y);
    t->picture = calloc(most, sizeof *t->picture);
    if (!t->items || !t->y || !t->picture)
        return err_set(e, ERR_NOMEM, "no memory for %zu pictures", m->count);
    for (size_t i = 0; i < m->count; i++)
        for (int v = 0; v < views && m->items[i].split == SPLIT_TRAIN; v++)
            add_row(t, i, v);
    t->train = t->all;
    for (size_t i = 0; i < m->count; i++)
        if (m->items[i].split == t->holdout)
            add_row(t, i, 0);
    t->count = t->all;
    for (size_t i = 0; i < m->count; i++)
        if (m->items[i].split != t->holdout && m->items[i].split == SPLIT_VAL)
            add_row(t, i, 0);
    return ERR_OK;
}

enum err_code trainset_load(const char *text, size_t len, int views, struct trainset *ret,
                            struct err *e)
{
    CLEANUP(trainset_fini) struct trainset t = { 0 };
    enum err_code r = manifest_parse(text, len, &t.manifest, e);
    if (!r)
        r = check_dataset(&t, e);
    if (!r)
        r = make_rows(&t, views, e);
    if (r)
        return r;
    *ret = t;
    t = (struct trainset){ 0 };
    return ERR_OK;
}

static enum err_code add_line(struct digest_stream *stream, const struct trainset *t, size_t row,
                              struct err *e)
{
    char hex[DIGEST_HEX + 1];
    const char *label = t->manifest.labels[t->y[row]];
    digest_hex(&t->items[row].picture, hex);
    hex[DIGEST_HEX] = '\t';
    enum err_code r = digest_stream_add(stream, hex, sizeof hex, e);
    if (!r)
        r = digest_stream_add(stream, label, strlen(label), e);
    return r ? r : digest_stream_add(stream, "\n", 1, e);
}

enum err_code trainset_holdout_digest(const struct trainset *t, struct digest *ret, struct err *e)
{
    struct digest_stream *stream = NULL;
    enum err_code r = digest_stream_new(&stream, e);
    for (size_t i = t->train; !r && i < t->count; i++)
        r = add_line(stream, t, i, e);
    if (!r)
        digest_stream_end(stream, ret);
    digest_stream_free(stream);
    return r;
}
