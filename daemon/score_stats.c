#include "daemon/score_stats.h"

#include "daemon/scorer.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"

#include <pthread.h>
#include <string.h>

struct score_stats {
    pthread_mutex_t mu;
    struct score_stats_row *rows; /* [room], count of them by model and version; guarded by mu */
    size_t count, room;           /* guarded by mu */
};

enum err_code score_stats_new(struct score_stats **ret, struct err *e)
{
    struct score_stats *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for statistics");
    pthread_mutex_init(&s->mu, NULL);
    *ret = s;
    return ERR_OK;
}

void score_stats_free(struct score_stats *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->mu);
    free(s->rows);
    free(s);
}

/* The first row that is not before this version. Holds mu. */
static size_t find(const struct score_stats *s, const char *model, int64_t version)
{
    size_t from = 0, to = s->count;
    while (from < to) {
        size_t at = from + (to - from) / 2;
        const struct score_stats_row *row = &s->rows[at];
        int order = strcmp(row->model, model);
        if (order < 0 || (order == 0 && row->version < version))
            from = at + 1;
        else
            to = at;
    }
    return from;
}

static bool is_of(const struct score_stats *s, size_t at, const char *model)
{
    return at < s->count && strcmp(s->rows[at].model, model) == 0;
}

/* The version's row, made where there is none; NULL: no memory. Holds mu. */
static struct score_stats_row *row_of(struct score_stats *s, const char *model, int64_t version)
{
    size_t at = find(s, model, version);
    if (is_of(s, at, model) && s->rows[at].version == version)
        return &s->rows[at];
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 16;
        struct score_stats_row *rows = reallocarray(s->rows, room, sizeof *rows);
        if (!rows)
            return NULL;
        s->rows = rows;
        s->room = room;
    }
    struct score_stats_row *row = &s->rows[at];
    memmove(row + 1, row, (s->count - at) * sizeof *row);
    *row = (struct score_stats_row){ .version = version };
    snprintf(row->model, sizeof row->model, "%s", model);
    s->count++;
    return row;
}

static void add(struct score_duration *d, int64_t us)
{
    d->count++;
    d->us += (uint64_t)us;
}

void score_stats_picture(struct score_stats *s, const struct score_result *r)
{
    if (!s)
        return;
    const struct score_times *t = &r->times;
    int64_t now_ms = clock_utc_ms(), now_us = clock_monotonic_us();
    pthread_mutex_lock(&s->mu);
    struct score_stats_row *row = row_of(s, r->model, r->version);
    if (row) {
        row->last_ms = now_ms;
        add(&row->queue, t->taken - t->submitted);
        if (t->decoded)
            add(&row->decode, t->decoded - t->taken);
        if (t->computed)
            add(&row->compute, t->computed - t->decoded);
        if (r->count) {
            add(&row->rank, now_us - t->computed);
            row->scored++;
        }
    }
    pthread_mutex_unlock(&s->mu);
}

void score_stats_request(struct score_stats *s, const char *model, int64_t version, bool succeeded,
                         int64_t us)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mu);
    struct score_stats_row *row = row_of(s, model, version);
    if (row)
        add(succeeded ? &row->succeeded : &row->failed, us);
    pthread_mutex_unlock(&s->mu);
}

enum err_code score_stats_read(struct score_stats *s, const char *model, int64_t version,
                               struct score_stats_row **ret, size_t *ret_count, struct err *e)
{
    struct score_stats_row *rows = NULL;
    pthread_mutex_lock(&s->mu);
    size_t from = find(s, model, version), to = from;
    while (is_of(s, to, model) && (!version || s->rows[to].version == version))
        to++;
    if (to > from && (rows = calloc(to - from, sizeof *rows)))
        memcpy(rows, &s->rows[from], (to - from) * sizeof *rows);
    pthread_mutex_unlock(&s->mu);
    if (to > from && !rows)
        return err_set(e, ERR_NOMEM, "no memory for the statistics of %zu versions", to - from);
    *ret = rows;
    *ret_count = to - from;
    return ERR_OK;
}
