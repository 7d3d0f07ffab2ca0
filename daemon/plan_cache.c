#include "daemon/plan_cache.h"

#include "data/base/cleanup.h"

#include <string.h>

struct serve_slot *plan_cache_slot(const struct plan_cache *c, const char *model)
{
    for (struct serve_slot *slot = c->slots; slot; slot = slot->next)
        if (strcmp(slot->name, model) == 0)
            return slot;
    return NULL;
}

void plan_cache_add_slot(struct plan_cache *c, struct serve_slot *slot)
{
    slot->next = c->slots;
    c->slots = slot;
}

struct serve_ref *plan_cache_find(const struct plan_cache *c, const char *model, int64_t version)
{
    const struct serve_slot *slot = plan_cache_slot(c, model);
    if (slot && slot->current && slot->current->version == version)
        return slot->current;
    for (int i = 0; i < PLAN_CACHE_KEPT; i++)
        if (c->kept[i] && c->kept[i]->version == version && strcmp(c->kept[i]->model, model) == 0)
            return c->kept[i];
    return NULL;
}

void plan_cache_use(struct plan_cache *c, struct serve_ref *r)
{
    r->used = ++c->uses;
}

struct serve_ref *plan_cache_keep(struct plan_cache *c, struct serve_ref *r)
{
    struct serve_ref **place = &c->kept[0];
    for (int i = 1; i < PLAN_CACHE_KEPT && *place; i++)
        if (!c->kept[i] || c->kept[i]->used < (*place)->used)
            place = &c->kept[i];
    struct serve_ref *old = *place;
    *place = r;
    return old;
}

static void take_out(struct serve_ref **place, struct serve_ref **list)
{
    struct serve_ref *r = STEAL(*place);
    r->next_given_up = *list;
    *list = r;
}

void plan_cache_forget(struct plan_cache *c, const char *model, struct serve_ref **list)
{
    for (int i = 0; i < PLAN_CACHE_KEPT; i++)
        if (c->kept[i] && strcmp(c->kept[i]->model, model) == 0)
            take_out(&c->kept[i], list);
}

/* Where the snapshot that was used longest ago is held; NULL when there is none beside `but`. */
static struct serve_ref **find_oldest(struct plan_cache *c, const struct serve_ref *but)
{
    struct serve_ref **oldest = NULL;
    for (struct serve_slot *slot = c->slots; slot; slot = slot->next)
        if (slot->current && slot->current != but &&
            (!oldest || slot->current->used < (*oldest)->used))
            oldest = &slot->current;
    for (int i = 0; i < PLAN_CACHE_KEPT; i++)
        if (c->kept[i] && c->kept[i] != but && (!oldest || c->kept[i]->used < (*oldest)->used))
            oldest = &c->kept[i];
    return oldest;
}

void plan_cache_trim(struct plan_cache *c, const struct serve_ref *but, struct serve_ref **list)
{
    struct serve_ref **oldest;
    int versions;
    while (c->limit && plan_cache_bytes(c, &versions) > c->limit && (oldest = find_oldest(c, but)))
        take_out(oldest, list);
}

uint64_t plan_cache_bytes(const struct plan_cache *c, int *ret_versions)
{
    uint64_t bytes = 0;
    int versions = 0;
    for (const struct serve_slot *slot = c->slots; slot; slot = slot->next)
        if (slot->current) {
            bytes += snapshot_bytes(slot->current);
            versions++;
        }
    for (int i = 0; i < PLAN_CACHE_KEPT; i++)
        if (c->kept[i]) {
            bytes += snapshot_bytes(c->kept[i]);
            versions++;
        }
    *ret_versions = versions;
    return bytes;
}
