/* One file although it is long: each part of it changes a struct live under the same two locks. */
#include "daemon/rollouts.h"

#include "daemon/alias_move.h"
#include "daemon/models.h"
#include "daemon/promotion.h"
#include "daemon/rollout_analysis.h"
#include "daemon/rollout_split.h"
#include "daemon/rollout_write.h"
#include "daemon/score_meters.h"
#include "data/base/cleanup.h"
#include "data/base/clock.h"
#include "data/base/json.h"
#include "data/base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

enum { KEEP_MS = 10000 };
static const char ourselves[] = "rollout"; /* who, of what nobody said */

/* Why something was decided, for those who count: daemon/rollouts.h. */
static const char by_rules[] = "passed", by_person[] = "person", by_move[] = "moved",
                  by_refusal[] = "refused", by_load[] = "not_loaded";

/* One that is open. */
struct live {
    struct rollout_row row;           /* changed under work and mu */
    struct rollout_analysis analysis; /* guarded by mu, as is what the shadow did */
    enum rollout_verdict woken_for;   /* the thread's last; guarded by mu */
    int64_t shadow_requests, shadow_differs, shadow_failed;
    int64_t kept_ms;              /* when its numbers were written; guarded by work */
    char failure[ROLLOUT_REASON]; /* it cannot go on; "" else; guarded by work */
    struct live *next;            /* changed under work and mu */
};

struct rollouts {
    struct rollouts_parts parts;
    struct traffic *traffic;
    pthread_t thread;
    bool started;

    pthread_mutex_t work; /* held over one change, database and all */
    pthread_mutex_t mu;
    pthread_cond_t due;
    struct live *lives; /* changed under work and mu */
    bool is_due;        /* guarded by mu, as is stopping */
    bool stopping;
};

CLEANUP_DEFINE(struct serve_ref, serve_release);

struct traffic *rollouts_traffic(struct rollouts *r)
{
    return r->traffic;
}

static struct live *find(struct rollouts *r, const char *model)
{
    struct live *l = r->lives;
    while (l && strcmp(l->row.model, model) != 0)
        l = l->next;
    return l;
}

static void count_decision(struct rollouts *r, const struct live *l, const char *decision,
                           const char *why)
{
    meter_add(r->parts.meters, ROLLOUT_DECISIONS, (const char *[]){ l->row.model, decision, why },
              1);
}

/* -- what is seen --------------------------------------------------------------------------------
 */

static void see_one(struct live *l, const struct traffic_side *side)
{
    if (side->code || !side->us)
        return;
    if (side->version == l->row.baseline)
        rollout_analysis_production_us(&l->analysis, side->us);
    else if (side->version == l->row.plan.canary)
        rollout_analysis_canary_us(&l->analysis, side->us);
}

static void see_both(struct live *l, const struct traffic_side *a, const struct traffic_side *b)
{
    bool differs = strcmp(a->label, b->label) != 0;
    if (a->version == l->row.plan.canary && !b->code) {
        rollout_analysis_pair(&l->analysis, a->code != ERR_OK, differs);
    } else if (a->version == l->row.baseline && !a->code) {
        l->shadow_requests++;
        l->shadow_failed += b->code != ERR_OK;
        l->shadow_differs += !b->code && differs;
    }
}

/* Holds mu. Once for each verdict: a step that has passed may have to wait for its time, or for a
 * person, and answers go on coming. */
static void wake_when_decided(struct rollouts *r, struct live *l)
{
    char reason[ROLLOUT_REASON];
    enum rollout_verdict verdict = rollout_analysis_verdict(&l->analysis, reason);
    bool is_new = verdict != l->woken_for;
    l->woken_for = verdict;
    if (!is_new || verdict == ROLLOUT_GOES_ON)
        return;
    r->is_due = true;
    pthread_cond_signal(&r->due);
}

static void count_answer(struct rollouts *r, const struct live *l, const struct traffic_seen *seen)
{
    const char *arm = "production";
    if (seen->second.version && seen->second.version == l->row.plan.shadow)
        arm = "shadow";
    else if (seen->second.version)
        return; /* production's, of a picture whose answer by the canary was counted */
    else if (seen->first.version == l->row.plan.canary)
        arm = "canary";
    meter_add(r->parts.meters, ROLLOUT_ANSWERS, (const char *[]){ l->row.model, arm }, 1);
}

void rollouts_seen(struct rollouts *r, const struct traffic_seen *seen)
{
    pthread_mutex_lock(&r->mu);
    struct live *l = r->lives;
    while (l && l->row.id != seen->rollout)
        l = l->next;
    if (l && seen->second.version)
        see_both(l, &seen->first, &seen->second);
    else if (l)
        see_one(l, &seen->first);
    if (l) {
        count_answer(r, l, seen);
        wake_when_decided(r, l);
    }
    pthread_mutex_unlock(&r->mu);
}

static void see(void *context, const struct traffic_seen *seen)
{
    struct rollouts *r = context;
    if (seen->second.version && seen->id[0] && !seen->first.code && !seen->second.code)
        predictions_add_other(r->parts.predictions, seen->id, seen->second.version,
                              seen->second.label);
    rollouts_seen(r, seen);
}

void rollouts_told(struct rollouts *r, const struct prediction_told *told)
{
    if (!told->is_pair || !told->is_first)
        return;
    pthread_mutex_lock(&r->mu);
    struct live *l = find(r, told->model);
    if (l && told->at_ms >= l->row.step_ms && told->version == l->row.plan.canary &&
        told->other_version == l->row.baseline) {
        rollout_analysis_feedback(&l->analysis, told->right, told->other_right);
        wake_when_decided(r, l);
    }
    pthread_mutex_unlock(&r->mu);
}

/* -- moves; all of them hold work ----------------------------------------------------------------
 */

static json_t *numbers(struct rollouts *r, struct live *l)
{
    pthread_mutex_lock(&r->mu);
    json_t *all = rollout_analysis_json(&l->analysis);
    json_t *shadow =
        json_pack("{s:I, s:I, s:I}", "requests", (json_int_t)l->shadow_requests, "differ",
                  (json_int_t)l->shadow_differs, "failed", (json_int_t)l->shadow_failed);
    pthread_mutex_unlock(&r->mu);
    if (json_put(all, "step", json_integer(l->row.step), NULL) ||
        json_put(all, "shadow", shadow, NULL) ||
        json_put(all, "not_mirrored", json_integer(traffic_dropped(r->traffic, l->row.model)),
                 NULL)) {
        json_decref(all);
        return NULL;
    }
    return all;
}

static enum err_code write_move(struct rollouts *r, struct live *l, const struct rollout_row *to,
                                const char *what, const char *who, const char *reason,
                                struct err *e)
{
    CLEANUP(json_decref_p) json_t *analysis = numbers(r, l);
    if (!analysis)
        return err_set(e, ERR_NOMEM, "no memory for a rollout's numbers");
    return rollout_write_move(r->parts.state, &l->row, to, what, who, reason, analysis, e);
}

/* l is freed. */
static void unlink_live(struct rollouts *r, struct live *l)
{
    pthread_mutex_lock(&r->mu);
    struct live **at = &r->lives;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    pthread_mutex_unlock(&r->mu);
    free(l);
}

/* On success l is freed. The traffic of a canary that failed goes back first, whatever becomes of
 * the rest, which is then tried again. */
static enum err_code finish(struct rollouts *r, struct live *l, enum rollout_state state,
                            const char *why, const char *who, const char *reason, struct err *e)
{
    struct rollout_row to = l->row;
    to.state = state;
    if (state == ROLLOUT_ROLLED_BACK)
        traffic_percent(r->traffic, l->row.model, 0);
    serve_moves_lock(r->parts.serve);
    enum err_code code = write_move(r, l, &to, rollout_state_text(state), who, reason, e);
    serve_moves_unlock(r->parts.serve);
    if (code)
        return code;
    count_decision(r, l, rollout_state_text(state), why);
    traffic_clear(r->traffic, l->row.model);
    unlink_live(r, l);
    return ERR_OK;
}

/* Through the same door as every promotion. What refuses it now ends the rollout. */
static enum err_code complete(struct rollouts *r, struct live *l, const char *who,
                              const char *reached, struct err *e)
{
    const struct rollout_row *row = &l->row;
    char reason[40];
    snprintf(reason, sizeof reason, "rollout %" PRId64, row->id);
    CLEANUP(json_decref_p) json_t *moved = NULL;
    CLEANUP(json_decref_p) json_t *decision = NULL;
    enum err_code code =
        promotion_promote(r->parts.state, r->parts.serve, row->model, row->plan.canary,
                          row->plan.force, reason, who, &moved, &decision, e);
    if (code && err_is_fault(code))
        return code;
    if (code) {
        char why[ROLLOUT_REASON];
        snprintf(why, sizeof why, "%.*s", ROLLOUT_REASON - 1, e->message);
        return finish(r, l, ROLLOUT_ROLLED_BACK, by_refusal, who, why, e);
    }
    return finish(r, l, ROLLOUT_COMPLETED, reached, who, NULL, e);
}

static enum err_code advance(struct rollouts *r, struct live *l, const char *what, const char *why,
                             const char *who, struct err *e)
{
    struct rollout_row to = l->row;
    to.step++;
    to.state = ROLLOUT_RUNNING;
    to.step_ms = clock_utc_ms();
    if (to.step == to.plan.step_count - 1)
        return complete(r, l, who, why, e);
    enum err_code code = write_move(r, l, &to, what, who, NULL, e);
    if (code)
        return code;
    pthread_mutex_lock(&r->mu);
    l->row = to;
    l->woken_for = ROLLOUT_GOES_ON;
    rollout_analysis_begin(&l->analysis, &to.plan, false);
    pthread_mutex_unlock(&r->mu);
    traffic_percent(r->traffic, to.model, rollout_row_percent(&to));
    count_decision(r, l, what, why);
    return ERR_OK;
}

static enum err_code wait_for_word(struct rollouts *r, struct live *l, struct err *e)
{
    struct rollout_row to = l->row;
    to.state = ROLLOUT_WAITING;
    enum err_code code = write_move(r, l, &to, "waiting", ourselves, NULL, e);
    if (code)
        return code;
    pthread_mutex_lock(&r->mu);
    l->row = to;
    pthread_mutex_unlock(&r->mu);
    count_decision(r, l, "waiting", by_rules);
    return ERR_OK;
}

/* To go on from. */
static enum err_code keep_numbers(struct rollouts *r, struct live *l, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *analysis = numbers(r, l);
    if (!analysis)
        return err_set(e, ERR_NOMEM, "no memory for a rollout's numbers");
    enum err_code code = db_write(state_db(r->parts.state), &t, e);
    if (!code)
        code = rollout_row_keep(t, l->row.id, analysis, e);
    return code ? code : db_commit(&t, e);
}

/* -- the thread that decides ---------------------------------------------------------------------
 */

static enum err_code production_moved(struct rollouts *r, struct live *l, int64_t production,
                                      struct err *e)
{
    char reason[ROLLOUT_REASON];
    if (production == l->row.plan.canary)
        return finish(r, l, ROLLOUT_COMPLETED, by_move, ourselves, NULL, e);
    snprintf(reason, sizeof reason, "version %" PRId64 " went into production meanwhile",
             production);
    return finish(r, l, ROLLOUT_ABORTED, by_move, ourselves, reason, e);
}

static enum err_code decide(struct rollouts *r, struct live *l, struct err *e)
{
    char reason[ROLLOUT_REASON];
    int64_t production = 0;
    enum err_code code =
        models_alias(r->parts.state, l->row.model, ALIAS_PRODUCTION, &production, e);
    if (code)
        return code;
    if (production != l->row.baseline)
        return production_moved(r, l, production, e);
    if (l->failure[0])
        return finish(r, l, ROLLOUT_ROLLED_BACK, by_load, ourselves, l->failure, e);
    pthread_mutex_lock(&r->mu);
    enum rollout_verdict verdict = rollout_analysis_verdict(&l->analysis, reason);
    const char *failed = rollout_analysis_failed(&l->analysis);
    pthread_mutex_unlock(&r->mu);
    if (verdict == ROLLOUT_FAILS)
        return finish(r, l, ROLLOUT_ROLLED_BACK, failed, ourselves, reason, e);
    bool long_enough = clock_utc_ms() >= l->row.step_ms + l->row.plan.min_seconds * 1000;
    if (verdict == ROLLOUT_PASSES && l->row.state == ROLLOUT_RUNNING && long_enough)
        return l->row.plan.manual ? wait_for_word(r, l, e)
                                  : advance(r, l, "step", by_rules, ourselves, e);
    int64_t now = clock_utc_ms();
    if (now - l->kept_ms < KEEP_MS)
        return ERR_OK;
    l->kept_ms = now;
    return keep_numbers(r, l, e);
}

static void decide_all(struct rollouts *r)
{
    pthread_mutex_lock(&r->work);
    for (struct live *l = r->lives, *next; l; l = next) {
        struct err e;
        next = l->next;
        char model[sizeof l->row.model];
        snprintf(model, sizeof model, "%s", l->row.model);
        if (decide(r, l, &e))
            log_event("error", "rollout", "model", model, "code", err_slug(e.code), "message",
                      e.message, NULL);
    }
    pthread_mutex_unlock(&r->work);
}

/* Until something is decided, or a second; false at the end. */
static bool wait_until_due(struct rollouts *r)
{
    int64_t until = clock_monotonic_us() + 1000000;
    pthread_mutex_lock(&r->mu);
    while (!r->is_due && !r->stopping && clock_wait(&r->due, &r->mu, until))
        continue;
    r->is_due = false;
    bool go_on = !r->stopping;
    pthread_mutex_unlock(&r->mu);
    return go_on;
}

static void *run(void *context)
{
    pthread_setname_np(pthread_self(), "rollouts");
    while (wait_until_due(context))
        decide_all(context);
    return NULL;
}

/* -- start and resume ----------------------------------------------------------------------------
 */

static struct live *live_new(const struct rollout_row *row)
{
    struct live *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->row = *row;
    l->kept_ms = clock_utc_ms();
    rollout_analysis_begin(&l->analysis, &row->plan, true);
    return l;
}

static void link_live(struct rollouts *r, struct live *l)
{
    pthread_mutex_lock(&r->mu);
    l->next = r->lives;
    r->lives = l;
    pthread_mutex_unlock(&r->mu);
}

/* The kept numbers may still be those of the step before. */
static bool restore_numbers(struct live *l, const json_t *kept)
{
    const json_t *step = json_object_get(kept, "step"), *shadow = json_object_get(kept, "shadow");
    if (!json_is_integer(step) || json_integer_value(step) != l->row.step ||
        !rollout_analysis_restore(&l->analysis, kept))
        return false;
    l->shadow_requests = json_integer_value(json_object_get(shadow, "requests"));
    l->shadow_differs = json_integer_value(json_object_get(shadow, "differ"));
    l->shadow_failed = json_integer_value(json_object_get(shadow, "failed"));
    return true;
}

/* A canary that cannot be loaded any more is rolled back. */
static enum err_code resume(void *context, const struct rollout_row *row, const json_t *kept,
                            struct err *e)
{
    struct rollouts *r = context;
    struct err failure;
    struct live *l = live_new(row);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory to go on with a rollout");
    if (!restore_numbers(l, kept))
        l->row.step_ms = clock_utc_ms();
    if (rollout_split(r->parts.serve, r->traffic, row, &failure))
        snprintf(l->failure, sizeof l->failure, "%.*s", ROLLOUT_REASON - 1, failure.message);
    link_live(r, l);
    return ERR_OK;
}

static enum err_code resume_all(struct rollouts *r, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code code = db_read(state_db(r->parts.state), &t, e);
    return code ? code : rollout_rows_open(t, resume, r, e);
}

/* Loads before it writes; what is written is then routed. */
static enum err_code begin(struct rollouts *r, struct rollout_row *row, const char *reason,
                           struct err *e)
{
    CLEANUP(serve_release_p) struct serve_ref *loaded = NULL;
    int64_t version = row->plan.canary ? row->plan.canary : row->plan.shadow;
    struct live *l = live_new(row);
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for a rollout");
    enum err_code code = serve_borrow(r->parts.serve, row->model, version, &loaded, e);
    if (!code) {
        serve_moves_lock(r->parts.serve);
        code = rollout_write_start(r->parts.state, row, reason, e);
        serve_moves_unlock(r->parts.serve);
    }
    if (code) {
        free(l);
        return code;
    }
    l->row = *row;
    struct err failure;
    if (rollout_split(r->parts.serve, r->traffic, row, &failure))
        snprintf(l->failure, sizeof l->failure, "%.*s", ROLLOUT_REASON - 1, failure.message);
    link_live(r, l);
    count_decision(r, l, "started", by_person);
    return ERR_OK;
}

enum err_code rollouts_start(struct rollouts *r, const char *model, const json_t *body,
                             const char *who, json_t **ret, json_t **ret_decision, struct err *e)
{
    struct rollout_row row = { .state = ROLLOUT_RUNNING };
    const char *reason = NULL;
    enum err_code code = rollout_plan_read(body, &row.plan, &reason, e);
    if (code)
        return code;
    snprintf(row.model, sizeof row.model, "%s", model);
    snprintf(row.who, sizeof row.who, "%s", who);
    pthread_mutex_lock(&r->work);
    code = rollout_check(r->parts.state, &row, e);
    if (!code && row.plan.canary && !row.plan.force)
        code = promotion_check(r->parts.state, model, row.plan.canary, ret_decision, e);
    if (!code)
        code = begin(r, &row, reason, e);
    pthread_mutex_unlock(&r->work);
    return code ? code : rollouts_show(r, model, ret, e);
}

/* -- what people say -----------------------------------------------------------------------------
 */

enum err_code rollouts_show(struct rollouts *r, const char *model, json_t **ret, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *shown = NULL;
    pthread_mutex_lock(&r->work);
    struct live *l = find(r, model);
    enum err_code code = db_read(state_db(r->parts.state), &t, e);
    if (!code)
        code = rollout_row_show(t, model, &shown, e);
    if (!code && l)
        code = json_put(shown, "analysis", numbers(r, l), e);
    pthread_mutex_unlock(&r->work);
    if (!code)
        *ret = STEAL(shown);
    return code;
}

static enum err_code none_open(const char *model, struct err *e)
{
    return err_set(e, ERR_ROLLOUT_STATE, "no rollout of \"%.80s\" is open", model);
}

enum err_code rollouts_approve(struct rollouts *r, const char *model, const char *who, json_t **ret,
                               struct err *e)
{
    pthread_mutex_lock(&r->work);
    struct live *l = find(r, model);
    enum err_code code = l ? ERR_OK : none_open(model, e);
    if (!code && l->row.state != ROLLOUT_WAITING)
        code = err_set(e, ERR_ROLLOUT_STATE, "the rollout of \"%s\" does not wait for approval",
                       model);
    if (!code)
        code = advance(r, l, "approved", by_person, who, e);
    pthread_mutex_unlock(&r->work);
    return code ? code : rollouts_show(r, model, ret, e);
}

static enum err_code end(struct rollouts *r, const char *model, enum rollout_state state,
                         const char *who, const char *reason, json_t **ret, struct err *e)
{
    pthread_mutex_lock(&r->work);
    struct live *l = find(r, model);
    enum err_code code = l ? finish(r, l, state, by_person, who, reason, e) : none_open(model, e);
    pthread_mutex_unlock(&r->work);
    return code ? code : rollouts_show(r, model, ret, e);
}

enum err_code rollouts_reject(struct rollouts *r, const char *model, const char *reason,
                              const char *who, json_t **ret, struct err *e)
{
    return end(r, model, ROLLOUT_REJECTED, who, reason, ret, e);
}

enum err_code rollouts_abort(struct rollouts *r, const char *model, const char *who, json_t **ret,
                             struct err *e)
{
    return end(r, model, ROLLOUT_ABORTED, who, NULL, ret, e);
}

size_t rollouts_look(struct rollouts *r, struct rollout_figures *ret, size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&r->mu);
    for (const struct live *l = r->lives; l && count < max; l = l->next) {
        struct rollout_figures *f = &ret[count++];
        *f = (struct rollout_figures){ .waiting = l->row.state == ROLLOUT_WAITING,
                                       .step = l->row.step,
                                       .percent = rollout_row_percent(&l->row) };
        snprintf(f->model, sizeof f->model, "%s", l->row.model);
    }
    pthread_mutex_unlock(&r->mu);
    return count;
}

CLEANUP_DEFINE(struct rollouts, rollouts_free);

enum err_code rollouts_new(const struct rollouts_parts *p, struct rollouts **ret, struct err *e)
{
    CLEANUP(rollouts_free_p) struct rollouts *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for rollouts");
    r->parts = *p;
    pthread_mutex_init(&r->work, NULL);
    pthread_mutex_init(&r->mu, NULL);
    pthread_cond_init(&r->due, NULL);
    const struct traffic_options traffic = { .limits = p->limits, .see = see, .context = r };
    enum err_code code = traffic_new(&traffic, &r->traffic, e);
    if (!code)
        code = resume_all(r, e);
    if (code)
        return code;
    int failed = pthread_create(&r->thread, NULL, run, r);
    if (failed)
        return err_errno(e, failed, "cannot start the thread of rollouts");
    r->started = true;
    *ret = STEAL(r);
    return ERR_OK;
}

void rollouts_free(struct rollouts *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->mu);
    r->stopping = true;
    pthread_cond_signal(&r->due);
    pthread_mutex_unlock(&r->mu);
    if (r->started)
        pthread_join(r->thread, NULL);
    struct err e;
    for (struct live *l = r->lives; l; l = l->next)
        if (keep_numbers(r, l, &e))
            log_event("error", "rollout", "model", l->row.model, "code", err_slug(e.code),
                      "message", e.message, NULL);
    traffic_free(r->traffic);
    while (r->lives) {
        struct live *next = r->lives->next;
        free(r->lives);
        r->lives = next;
    }
    pthread_cond_destroy(&r->due);
    pthread_mutex_destroy(&r->mu);
    pthread_mutex_destroy(&r->work);
    free(r);
}
