#include "daemon/follow_splits.h"

#include "daemon/rollout_split.h"
#include "data/base/cleanup.h"
#include "data/base/log.h"

#include <stdlib.h>
#include <string.h>

/* As it is split now. */
struct follow_split {
    char model[TRAFFIC_NAME];
    int64_t id, baseline, canary, shadow;
    bool open; /* still, while they are looked through */
    struct follow_split *next;
};

static struct follow_split *find(struct follow_splits *s, const char *model)
{
    struct follow_split *one = s->list;
    while (one && strcmp(one->model, model) != 0)
        one = one->next;
    return one;
}

static enum err_code keep(struct follow_splits *s, struct follow_split *one,
                          const struct rollout_row *row, struct err *e)
{
    if (!one) {
        one = calloc(1, sizeof *one);
        if (!one)
            return err_set(e, ERR_NOMEM, "no memory for a rollout");
        one->next = s->list;
        s->list = one;
    }
    snprintf(one->model, sizeof one->model, "%s", row->model);
    one->id = row->id;
    one->baseline = row->baseline;
    one->canary = row->plan.canary;
    one->shadow = row->plan.shadow;
    one->open = true;
    return ERR_OK;
}

static enum err_code split_one(void *context, const struct rollout_row *row, const json_t *analysis,
                               struct err *e)
{
    (void)analysis;
    struct follow_splits *s = context;
    struct follow_split *one = find(s, row->model);
    if (one && one->id == row->id && one->baseline == row->baseline &&
        one->canary == row->plan.canary && one->shadow == row->plan.shadow) {
        one->open = true;
        traffic_percent(s->traffic, row->model, rollout_row_percent(row));
        return ERR_OK;
    }
    struct err failure;
    if (!rollout_split(s->serve, s->traffic, row, &failure))
        return keep(s, one, row, e);
    s->failed = true;
    log_event("error", "follow_rollout", "model", row->model, "code", err_slug(failure.code),
              "message", failure.message, NULL);
    return ERR_OK;
}

static void clear_closed(struct follow_splits *s)
{
    for (struct follow_split **at = &s->list; *at;) {
        struct follow_split *one = *at;
        if (one->open) {
            at = &one->next;
            continue;
        }
        traffic_clear(s->traffic, one->model);
        *at = one->next;
        free(one);
    }
}

enum err_code follow_splits_set(struct follow_splits *s, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    s->failed = false;
    for (struct follow_split *one = s->list; one; one = one->next)
        one->open = false;
    enum err_code r = db_read(state_db(s->state), &t, e);
    if (!r)
        r = rollout_rows_open(t, split_one, s, e);
    s->failed = s->failed || r;
    if (!r)
        clear_closed(s);
    return r;
}

void follow_splits_fini(struct follow_splits *s)
{
    while (s->list) {
        struct follow_split *next = s->list->next;
        free(s->list);
        s->list = next;
    }
}
