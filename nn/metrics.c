#include "nn/metrics.h"

#include "data/base/json.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = 15 };
static const double smallest_p = 1e-15;

/* Bins are (0, 1/15], (1/15, 2/15], ... */
struct bins {
    double confidence[BINS];
    int64_t correct[BINS];
};

static void bin_add(struct bins *b, double top, bool correct)
{
    int at = (int)ceil(top * BINS) - 1;
    at = at < 0 ? 0 : at >= BINS ? BINS - 1 : at;
    b->confidence[at] += top;
    b->correct[at] += correct;
}

/* sum over bins of rows_b / rows * |accuracy_b - confidence_b|. */
static double bins_error(const struct bins *b, int64_t rows)
{
    double sum = 0;
    for (int i = 0; i < BINS; i++)
        sum += fabs((double)b->correct[i] - b->confidence[i]);
    return sum / (double)rows;
}

static enum err_code metrics_init(struct metrics *m, int classes, struct err *e)
{
    size_t n = (size_t)classes;
    *m = (struct metrics){ .classes = classes,
                           .precision = calloc(n, sizeof *m->precision),
                           .recall = calloc(n, sizeof *m->recall),
                           .f1 = calloc(n, sizeof *m->f1),
                           .support = calloc(n, sizeof *m->support),
                           .confusion = calloc(n, n * sizeof *m->confusion) };
    if (m->precision && m->recall && m->f1 && m->support && m->confusion)
        return ERR_OK;
    metrics_fini(m);
    return err_set(e, ERR_NOMEM, "no memory for the metrics of %d classes", classes);
}

void metrics_fini(struct metrics *m)
{
    free(m->precision);
    free(m->recall);
    free(m->f1);
    free(m->support);
    free(m->confusion);
    *m = (struct metrics){ 0 };
}

static double ratio(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static void judge_classes(struct metrics *m)
{
    int64_t right = 0;
    int occurring = 0;
    double f1_sum = 0;
    for (int c = 0; c < m->classes; c++) {
        const int64_t *row = m->confusion + (size_t)c * (size_t)m->classes;
        int64_t predicted = 0;
        for (int k = 0; k < m->classes; k++) {
            m->support[c] += row[k];
            predicted += m->confusion[(size_t)k * (size_t)m->classes + (size_t)c];
        }
        right += row[c];
        m->precision[c] = ratio(row[c], predicted);
        m->recall[c] = ratio(row[c], m->support[c]);
        m->f1[c] = ratio(2 * row[c], predicted + m->support[c]);
        if (m->support[c]) {
            occurring++;
            f1_sum += m->f1[c];
        }
    }
    m->accuracy = ratio(right, m->rows);
    m->macro_f1 = occurring ? f1_sum / occurring : 0;
}

enum err_code metrics_of(const float *p, const int *y, int64_t rows, int classes,
                         struct metrics *ret, struct err *e)
{
    struct metrics m;
    enum err_code r = metrics_init(&m, classes, e);
    if (r)
        return r;
    struct bins bins = { 0 };
    m.rows = rows;
    for (int64_t i = 0; i < rows; i++) {
        const float *row = p + (size_t)i * (size_t)classes;
        int best = 0;
        for (int c = 1; c < classes; c++)
            best = row[c] > row[best] ? c : best;
        m.confusion[(size_t)y[i] * (size_t)classes + (size_t)best]++;
        m.log_loss -= log(fmin(fmax((double)row[y[i]], smallest_p), 1));
        bin_add(&bins, (double)row[best], best == y[i]);
    }
    judge_classes(&m);
    if (rows) {
        m.log_loss /= (double)rows;
        m.calibration_error = bins_error(&bins, rows);
    }
    *ret = m;
    return ERR_OK;
}

static json_t *class_json(const struct metrics *m, int c, const char *label)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:I}", "label", label, "precision", m->precision[c],
                     "recall", m->recall[c], "f1", m->f1[c], "support", (json_int_t)m->support[c]);
}

static json_t *confusion_row_json(const struct metrics *m, int c)
{
    json_t *row = json_array();
    for (int k = 0; row && k < m->classes; k++) {
        json_int_t count = m->confusion[(size_t)c * (size_t)m->classes + (size_t)k];
        if (json_array_append_new(row, json_integer(count)) < 0) {
            json_decref(row);
            return NULL;
        }
    }
    return row;
}

json_t *metrics_json(const struct metrics *m, const char *const *labels)
{
    json_t *per_class = json_array(), *confusion = json_array();
    for (int c = 0; c < m->classes; c++)
        if (json_array_append_new(per_class, class_json(m, c, labels[c])) < 0 ||
            json_array_append_new(confusion, confusion_row_json(m, c)) < 0) {
            json_decref(per_class);
            json_decref(confusion);
            return NULL;
        }
    /* json_pack() takes both, also where it fails. */
    return json_pack("{s:f, s:f, s:f, s:f, s:I, s:o, s:o}", "accuracy", m->accuracy, "macro_f1",
                     m->macro_f1, "log_loss", m->log_loss, "calibration_error",
                     m->calibration_error, "count", (json_int_t)m->rows, "per_class", per_class,
                     "confusion_matrix", confusion);
}
