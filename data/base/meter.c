/* DESIGN
 *
 *   meters -> meter (family) -> buckets of a hash table -> series -> cells
 *
 * A series is never removed, so a reader needs no protection. The cells of a counter are its value;
 * those of a histogram one for each bound, one for what is past the last, and the sum. A scrape
 * reads the cells one after the other while others add: it takes _count from the buckets that it
 * has read, so that a histogram is never at odds with itself. */
#include "data/base/meter.h"

#include "data/base/cleanup.h"
#include "data/base/utf8.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

enum { BUCKETS = 128, KEY_MAX = METER_LABELS * (METER_VALUE_MAX + 1) };

const uint64_t meter_times[METER_TIMES] = { 250,    500,     1000,    2000,     3000,    5000,
                                            7500,   10000,   25000,   50000,    100000,  250000,
                                            500000, 1000000, 2500000, 10000000, 30000000 };

struct series {
    struct series *next; /* constant once published */
    uint32_t hash;
    char *key; /* owned: the values, each with a zero byte behind it */
    size_t key_len;
    _Atomic uint64_t cells[];
};

struct meter {
    const struct meter_spec *spec;
    size_t labels, cells;
    _Atomic(struct series *) buckets[BUCKETS];
    atomic_size_t count;
    struct series *other; /* shown once it has something */
};

struct meters {
    size_t count;
    struct meter meters[];
};

struct key {
    char text[KEY_MAX];
    size_t len;
    uint32_t hash;
};

/* At most METER_VALUE_MAX bytes, no half code points, no bytes that are not UTF-8. */
static void add_value(struct key *k, const char *value)
{
    size_t len = strlen(value), from = k->len;
    for (size_t at = 0, n = 0; at < len; at += n) {
        uint32_t c;
        n = utf8_next(value + at, len - at, &c);
        if (k->len - from + (n ? n : 1) > METER_VALUE_MAX)
            break;
        if (n)
            memcpy(k->text + k->len, value + at, n);
        else
            k->text[k->len] = '?';
        n = n ? n : 1;
        k->len += n;
    }
    k->text[k->len++] = 0;
}

static void make_key(const struct meter *m, const char *const *values, struct key *ret)
{
    ret->len = 0;
    for (size_t i = 0; i < m->labels; i++)
        add_value(ret, values[i]);
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < ret->len; i++)
        hash = (hash ^ (uint8_t)ret->text[i]) * 16777619u;
    ret->hash = hash;
}

static struct series *series_new(const struct meter *m, const struct key *k)
{
    struct series *s = calloc(1, sizeof *s + m->cells * sizeof s->cells[0]);
    char *key = malloc(k->len + 1);
    if (!s || !key) {
        free(s);
        free(key);
        return NULL;
    }
    memcpy(key, k->text, k->len);
    s->key = key;
    s->key_len = k->len;
    s->hash = k->hash;
    return s;
}

static void series_free(struct series *s)
{
    if (s)
        free(s->key);
    free(s);
}

static struct series *search(struct series *s, const struct key *k)
{
    while (s &&
           (s->hash != k->hash || s->key_len != k->len || memcmp(s->key, k->text, k->len) != 0))
        s = s->next;
    return s;
}

/* The series of these values. Somebody else may publish it meanwhile: then his is taken. */
static struct series *find(struct meter *m, const char *const *values)
{
    struct key k;
    if (!m->labels)
        return m->other;
    make_key(m, values, &k);
    _Atomic(struct series *) *bucket = &m->buckets[k.hash % BUCKETS];
    struct series *head = atomic_load_explicit(bucket, memory_order_acquire);
    struct series *found = search(head, &k);
    if (found)
        return found;
    if (atomic_fetch_add(&m->count, 1) >= m->spec->series_max || !(found = series_new(m, &k))) {
        atomic_fetch_sub(&m->count, 1);
        return m->other;
    }
    found->next = head;
    while (!atomic_compare_exchange_weak_explicit(bucket, &head, found, memory_order_release,
                                                  memory_order_acquire)) {
        struct series *theirs = search(head, &k);
        if (theirs) {
            series_free(found);
            atomic_fetch_sub(&m->count, 1);
            return theirs;
        }
        found->next = head;
    }
    return found;
}

static void add(struct series *s, size_t cell, uint64_t n)
{
    atomic_fetch_add_explicit(&s->cells[cell], n, memory_order_relaxed);
}

void meter_add(struct meters *m, int meter, const char *const *values, uint64_t n)
{
    if (m)
        add(find(&m->meters[meter], values), 0, n);
}

void meter_observe(struct meters *m, int meter, const char *const *values, uint64_t x)
{
    if (!m)
        return;
    const struct meter_spec *spec = m->meters[meter].spec;
    struct series *s = find(&m->meters[meter], values);
    size_t cell = 0;
    while (cell < spec->bound_count && x > spec->bounds[cell])
        cell++;
    add(s, cell, 1);
    add(s, spec->bound_count + 1, x);
}

/* -- as text ------------------------------------------------------------------------------------
 */

static enum err_code write_escaped(struct buf *ret, const char *value, struct err *e)
{
    enum err_code r = ERR_OK;
    for (; !r && *value; value++) {
        if (*value == '\n')
            r = buf_append(ret, "\\n", 2, e);
        else if (*value == '"' || *value == '\\')
            r = buf_append(ret, (char[]){ '\\', *value }, 2, e);
        else
            r = buf_append(ret, value, 1, e);
    }
    return r;
}

/* {a="x",b="y",le="0.5"} from labels and their values, which lie one behind the other. */
static enum err_code write_labels(struct buf *ret, const char *const *labels, const char *values,
                                  const char *bound, struct err *e)
{
    enum err_code r = ERR_OK;
    const char *before = "{";
    for (; !r && labels && *labels; labels++, before = ",") {
        r = buf_printf(ret, e, "%s%s=\"", before, *labels);
        if (!r)
            r = write_escaped(ret, values, e);
        if (!r)
            r = buf_append(ret, "\"", 1, e);
        values += strlen(values) + 1;
    }
    if (!r && bound) {
        r = buf_printf(ret, e, "%sle=\"%s\"", before, bound);
        before = ",";
    }
    return r || *before == '{' ? r : buf_append(ret, "}", 1, e);
}

static enum err_code write_sample(struct buf *ret, const char *name, const char *suffix,
                                  const char *const *labels, const char *values, const char *bound,
                                  double x, struct err *e)
{
    enum err_code r = buf_printf(ret, e, "%s%s", name, suffix);
    if (!r)
        r = write_labels(ret, labels, values, bound, e);
    return r ? r : buf_printf(ret, e, " %.15g\n", x);
}

static enum err_code write_histogram(const struct meter *m, const struct series *s, struct buf *ret,
                                     struct err *e)
{
    const struct meter_spec *spec = m->spec;
    enum err_code r = ERR_OK;
    uint64_t count = 0;
    for (size_t i = 0; !r && i <= spec->bound_count; i++) {
        char bound[32] = "+Inf";
        if (i < spec->bound_count)
            snprintf(bound, sizeof bound, "%.6g", (double)spec->bounds[i] * spec->unit);
        count += atomic_load_explicit(&s->cells[i], memory_order_relaxed);
        r = write_sample(ret, spec->name, "_bucket", spec->labels, s->key, bound, (double)count, e);
    }
    uint64_t sum = atomic_load_explicit(&s->cells[spec->bound_count + 1], memory_order_relaxed);
    if (!r)
        r = write_sample(ret, spec->name, "_sum", spec->labels, s->key, NULL,
                         (double)sum * spec->unit, e);
    return r ? r
             : write_sample(ret, spec->name, "_count", spec->labels, s->key, NULL, (double)count,
                            e);
}

static enum err_code write_series(const struct meter *m, const struct series *s, struct buf *ret,
                                  struct err *e)
{
    if (m->spec->bounds)
        return write_histogram(m, s, ret, e);
    uint64_t x = atomic_load_explicit(&s->cells[0], memory_order_relaxed);
    return write_sample(ret, m->spec->name, "", m->spec->labels, s->key, NULL,
                        (double)x * m->spec->unit, e);
}

static bool is_used(const struct meter *m, const struct series *s)
{
    for (size_t i = 0; i < m->cells; i++)
        if (atomic_load_explicit(&s->cells[i], memory_order_relaxed))
            return true;
    return false;
}

static enum err_code write_meter(const struct meter *m, struct buf *ret, struct err *e)
{
    bool shows_other = !m->labels || is_used(m, m->other);
    if (!shows_other && !atomic_load(&m->count))
        return ERR_OK;
    enum err_code r =
        meter_head(ret, m->spec->name, m->spec->bounds ? "histogram" : "counter", m->spec->help, e);
    for (int i = 0; i < BUCKETS; i++) {
        const struct series *s = atomic_load_explicit(&m->buckets[i], memory_order_acquire);
        for (; !r && s; s = s->next)
            r = write_series(m, s, ret, e);
    }
    return r || !shows_other ? r : write_series(m, m->other, ret, e);
}

enum err_code meters_write(const struct meters *m, struct buf *ret, struct err *e)
{
    enum err_code r = ERR_OK;
    for (size_t i = 0; !r && i < m->count; i++)
        r = write_meter(&m->meters[i], ret, e);
    return r;
}

enum err_code meter_head(struct buf *ret, const char *name, const char *kind, const char *help,
                         struct err *e)
{
    return buf_printf(ret, e, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

enum err_code meter_sample(struct buf *ret, const char *name, const char *const *labels,
                           const char *const *values, double x, struct err *e)
{
    struct key k = { .len = 0 };
    for (size_t i = 0; labels && labels[i]; i++)
        add_value(&k, values[i]);
    return write_sample(ret, name, "", labels, k.text, NULL, x, e);
}

/* -- life ---------------------------------------------------------------------------------------
 */

/* Without labels the one series there is stands where "other" would. */
static enum err_code meter_init(struct meter *m, const struct meter_spec *spec, struct err *e)
{
    struct key k = { .len = 0 };
    m->spec = spec;
    while (spec->labels[m->labels]) {
        add_value(&k, "other");
        m->labels++;
    }
    m->cells = spec->bounds ? spec->bound_count + 2 : 1;
    m->other = series_new(m, &k);
    return m->other ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for the meter %s", spec->name);
}

CLEANUP_DEFINE(struct meters, meters_free);

enum err_code meters_new(const struct meter_spec *specs, size_t count, struct meters **ret,
                         struct err *e)
{
    CLEANUP(meters_free_p)
    struct meters *m = calloc(1, sizeof *m + count * sizeof m->meters[0]);
    if (!m)
        return err_set(e, ERR_NOMEM, "no memory for %zu meters", count);
    for (; m->count < count; m->count++) {
        enum err_code r = meter_init(&m->meters[m->count], &specs[m->count], e);
        if (r)
            return r;
    }
    *ret = STEAL(m);
    return ERR_OK;
}

static void meter_fini(struct meter *m)
{
    for (int i = 0; i < BUCKETS; i++) {
        struct series *next, *s = atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        for (; s; s = next) {
            next = s->next;
            series_free(s);
        }
    }
    series_free(m->other);
}

void meters_free(struct meters *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++)
        meter_fini(&m->meters[i]);
    free(m);
}
