#include "daemon/import.h"

#include "daemon/import_crew.h"
#include "daemon/import_staging.h"

#include "data/base/json.h"

#include <inttypes.h>
#include <string.h>

CLEANUP_DEFINE(struct import_staging, import_staging_free);
CLEANUP_DEFINE(struct import_crew, import_crew_free);

struct importing {
    struct state *state;
    struct import_staging *staging;
    struct import_crew *crew;
    int64_t next_sequence;
    int64_t stored;
};

/* What is wrong with a file is its own affair; what is wrong with the machine ends the import. */
static enum err_code outcome(void *context, const struct import_item *item, struct err *e)
{
    struct importing *g = context;
    if (item->code && err_is_fault(item->code))
        return err_set(e, item->code, "%s", item->err.message);
    if (item->code)
        return import_staging_reject(g->staging, item->sequence, item->path, &item->err, e);
    g->stored++;
    return import_staging_add(g->staging, item->sequence, item->path, &item->picture,
                              item->layout.label, item->layout.split, e);
}

static enum err_code on_file(void *context, const char *path, const uint8_t *bytes, size_t len,
                             struct err *e)
{
    struct importing *g = context;
    struct layout layout;
    struct err reason = { 0 };
    bool skip = false;
    enum err_code r = layout_parse(path, &layout, &skip, &reason);
    if (r && err_is_fault(r))
        return err_set(e, r, "%s", reason.message);
    if (!r && skip)
        return ERR_OK;
    int64_t sequence = g->next_sequence++;
    if (!r && !bytes)
        r = err_set(&reason, ERR_PICTURE_BYTES, "a file of %zu bytes; at most %" PRIu64, len,
                    state_limits(g->state)->max_picture_bytes);
    if (r)
        return import_staging_reject(g->staging, sequence, path, &reason, e);

    struct import_item *item = NULL;
    r = import_crew_take(g->crew, path, len, &item, e);
    if (r)
        return r;
    item->sequence = sequence;
    item->layout = layout;
    if (len)
        memcpy(item->bytes, bytes, len);
    import_crew_submit(g->crew, item);
    return ERR_OK;
}

static enum err_code walk(struct importing *g, const struct import_source *source, struct err *e)
{
    struct archive_limits limits = state_limits(g->state)->archive;
    limits.max_member = state_limits(g->state)->max_picture_bytes;
    if (source->folder)
        return archive_walk_folder(source->folder, &limits, on_file, g, e);
    return archive_walk(source->read, source->context, &limits, on_file, g, e);
}

static enum err_code take_in(struct importing *g, const char *dataset,
                             const struct import_source *source, int threads, const char *who,
                             json_t **ret, struct err *e)
{
    CLEANUP(import_staging_free_p) struct import_staging *staging = NULL;
    CLEANUP(import_crew_free_p) struct import_crew *crew = NULL;
    enum err_code r = import_staging_new(g->state, &staging, e);
    if (!r)
        r = import_crew_new(g->state, threads, outcome, g, &crew, e);
    g->staging = staging;
    g->crew = crew;
    if (!r)
        r = walk(g, source, e);
    if (!r)
        r = import_crew_finish(crew, e);
    if (!r && g->stored)
        r = blobs_sync(state_blobs(g->state), e);
    return r ? r : import_staging_merge(staging, dataset, who, ret, e);
}

enum err_code import_run(struct state *s, const char *dataset, const struct import_source *source,
                         int threads, const char *who, json_t **ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *known = NULL;
    enum err_code r = datasets_show(s, dataset, &known, e);
    if (r)
        return r;
    struct importing g = { .state = s };
    state_put_begin(s);
    r = take_in(&g, dataset, source, threads, who, ret, e);
    state_put_end(s, !r || !g.next_sequence);
    return r;
}
