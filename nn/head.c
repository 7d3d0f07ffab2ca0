#include "nn/head.h"

#include "data/base/cleanup.h"
#include "nn/crew.h"
#include "nn/folds.h"
#include "nn/lbfgs.h"
#include "nn/softmax.h"

#include <math.h>
#include <string.h>

/* DESIGN
 *
 *   rows --standardise--> x' [rows][stride], one extra column of ones for the bias
 *     |
 *     +-- part 0: path of penalties, strong to weak, each from the last one's W --> losses[0][]
 *     +-- part 1: ...                                                           --> losses[1][]
 *     |
 *   choose the penalty by the mean over the parts
 *   final fit on all rows, from the mean of the parts' best W
 *
 * A part is one fold of one repeat of the cross-validation: one task on one thread; the caller's
 * thread only waits, reports and cancels. Tasks share nothing that they write, and sums over parts
 * are taken in the parts' order, so the bits do not depend on the number of threads. */

/* On a small set the choice depends on how the folds fell, so they are dealt again, until about
 * a thousand held-out answers were judged. */
enum { JUDGED_WANTED = 1000, REPEATS_MAX = 5 };

/* Half decades. On the mean-loss scale with standardised features a useful penalty hardly
 * depends on the number of rows. */
static const double default_penalties[] = { 1,    0.3,  0.1,  0.03, 0.01, 0.003,
                                            1e-3, 3e-4, 1e-4, 3e-5, 1e-5 };

/* Enough to rank penalties; the final fit goes on to options.tolerance. The distance to the optimum
 * is at most |gradient| / penalty, so a strong penalty needs less. */
static const double path_tolerance = 1e-4, path_tolerance_share = 0.01;

/* A fold whose held-out loss is that much over its best has seen enough: weaker penalties only
 * overfit more. */
static const double give_up = 2;

struct path {
    double *loss;  /* [penalties] sum over the held-out rows; INFINITY where given up */
    int *correct;  /* [penalties] */
    float *weight; /* [classes][stride] at this fold's own best penalty */
    int held;      /* rows held out */
};

struct fit {
    struct softmax_data data; /* x and class_scale are set; the latter only by tasks */
    int rows, width, folds, repeats, penalty_count;
    float *x;             /* owned; data.x */
    double *mean, *scale; /* [width]; scale is 1 / deviation, 0 for a constant feature */
    double *class_weight; /* [classes]: c of head.h */
    double *penalties;    /* [penalty_count], strongest first */
    int *fold;            /* [repeats][rows] */
    struct path *paths;   /* [repeats][folds]: the parts */
    const struct head_options *options;
    head_progress progress;
    void *progress_context;
    int chosen; /* of penalties */
    float *w;   /* owned; [classes][stride]: the final fit's start and result */
    struct lbfgs_result final;
};

/* One minimisation: some rows, one penalty. */
struct objective {
    struct fit *fit;
    const atomic_bool *stop;
    struct softmax_data data;
    struct softmax_scratch *scratch;
    struct lbfgs *solver;
    int *rows; /* owned; [count] */
    int count;
    double *class_scale; /* owned */
    double penalty;
};

void head_options_default(struct head_options *o)
{
    *o =
        (struct head_options){ .folds = 5, .max_iterations = 500, .tolerance = 1e-5, .threads = 1 };
}

void head_fini(struct head *h)
{
    free(h->weight);
    free(h->bias);
    *h = (struct head){ 0 };
}

static float *new_floats(size_t count)
{
    size_t bytes = (count * sizeof(float) + SOFTMAX_ALIGN - 1) / SOFTMAX_ALIGN * SOFTMAX_ALIGN;
    float *p = aligned_alloc(SOFTMAX_ALIGN, bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

static size_t weights_of(const struct fit *f)
{
    return (size_t)f->data.classes * f->data.stride;
}

static enum err_code standardise(struct fit *f, const float *x, struct err *e)
{
    size_t width = (size_t)f->width;
    for (int i = 0; i < f->rows; i++)
        for (size_t j = 0; j < width; j++)
            f->mean[j] += (double)x[(size_t)i * width + j];
    for (size_t j = 0; j < width; j++)
        f->mean[j] /= f->rows;
    for (int i = 0; i < f->rows; i++)
        for (size_t j = 0; j < width; j++) {
            double off = (double)x[(size_t)i * width + j] - f->mean[j];
            f->scale[j] += off * off;
        }
    for (size_t j = 0; j < width; j++) {
        double deviation = sqrt(f->scale[j] / f->rows);
        if (!isfinite(deviation))
            return err_set(e, ERR_DIVERGED, "feature %zu is not finite in every picture", j);
        /* What rounding alone could have made is a constant. */
        bool constant = deviation <= 1e-6 * fabs(f->mean[j]) || deviation < 1e-30;
        f->scale[j] = constant ? 0 : 1 / deviation;
    }
    for (int i = 0; i < f->rows; i++) {
        float *row = f->x + (size_t)i * f->data.stride;
        for (size_t j = 0; j < width; j++)
            row[j] = (float)(((double)x[(size_t)i * width + j] - f->mean[j]) * f->scale[j]);
        row[width] = 1; /* the bias */
    }
    return ERR_OK;
}

static bool evaluate(void *context, const float *w, double *ret_value, float *ret_gradient)
{
    struct objective *o = context;
    if (atomic_load_explicit(o->stop, memory_order_relaxed))
        return false;
    double value = softmax_loss(&o->data, o->scratch, o->rows, o->count, w, ret_gradient);
    float penalty = (float)o->penalty;
    double squares = 0;
    for (int c = 0; c < o->data.classes; c++) {
        const float *row = w + (size_t)c * o->data.stride;
        float *gradient = ret_gradient + (size_t)c * o->data.stride;
        for (int j = 0; j < o->fit->width; j++) {
            squares += (double)row[j] * (double)row[j];
            gradient[j] += penalty * row[j];
        }
    }
    *ret_value = value + o->penalty / 2 * squares;
    return true;
}

static void objective_fini(struct objective *o)
{
    softmax_scratch_free(o->scratch);
    lbfgs_free(o->solver);
    free(o->rows);
    free(o->class_scale);
}

static int parts_of(const struct fit *f)
{
    return f->folds * f->repeats;
}

static bool is_held_out(const struct fit *f, int part, int row)
{
    size_t repeat = (size_t)(part / f->folds);
    return f->fold[repeat * (size_t)f->rows + (size_t)row] == part % f->folds;
}

/* Over the rows that the part does not hold out; part -1: over all. *ret is to be given to _fini()
 * in any case. */
static enum err_code objective_init(struct fit *f, int part, const atomic_bool *stop,
                                    struct objective *ret, struct err *e)
{
    *ret = (struct objective){ .fit = f, .stop = stop, .data = f->data };
    ret->rows = calloc((size_t)f->rows, sizeof *ret->rows);
    ret->class_scale = calloc((size_t)f->data.classes, sizeof *ret->class_scale);
    if (!ret->rows || !ret->class_scale)
        return err_set(e, ERR_NOMEM, "no memory to fit a head");
    double total = 0;
    for (int i = 0; i < f->rows; i++)
        if (part < 0 || !is_held_out(f, part, i)) {
            ret->rows[ret->count++] = i;
            total += f->class_weight[f->data.y[i]];
        }
    for (int c = 0; c < f->data.classes; c++)
        ret->class_scale[c] = f->class_weight[c] / total;
    ret->data.class_scale = ret->class_scale;
    enum err_code r = softmax_scratch_new(&ret->data, SOFTMAX_WIDEST, &ret->scratch, e);
    return r ? r : lbfgs_new(weights_of(f), &ret->solver, e);
}

static enum err_code follow_path(struct fit *f, struct objective *o, struct path *p,
                                 const int *held, float *w, struct err *e)
{
    double best = INFINITY;
    for (int i = 0; i < f->penalty_count; i++)
        p->loss[i] = INFINITY;
    for (int i = 0; i < f->penalty_count; i++) {
        struct lbfgs_result result;
        o->penalty = f->penalties[i];
        double tolerance = fmax(path_tolerance, path_tolerance_share * o->penalty);
        enum err_code r = lbfgs_run(o->solver, evaluate, o, f->options->max_iterations,
                                    fmax(tolerance, f->options->tolerance), w, &result, e);
        if (r)
            return r;
        softmax_score(&f->data, o->scratch, held, p->held, w, &p->loss[i], &p->correct[i]);
        if (p->loss[i] < best) {
            best = p->loss[i];
            memcpy(p->weight, w, weights_of(f) * sizeof *w);
        } else if (p->loss[i] > give_up * best) {
            break;
        }
    }
    return ERR_OK;
}

static enum err_code run_part(void *context, int worker, size_t task, const atomic_bool *stop,
                              struct err *e)
{
    (void)worker;
    struct fit *f = context;
    struct path *p = &f->paths[task];
    CLEANUP(objective_fini) struct objective o;
    CLEANUP(cleanup_free) int *held = calloc((size_t)f->rows, sizeof *held);
    CLEANUP(cleanup_free) float *w = new_floats(weights_of(f));
    enum err_code r = objective_init(f, (int)task, stop, &o, e);
    if (r)
        return r;
    if (!held || !w)
        return err_set(e, ERR_NOMEM, "no memory to fit a head");
    for (int i = 0; i < f->rows; i++)
        if (is_held_out(f, (int)task, i))
            held[p->held++] = i;
    return follow_path(f, &o, p, held, w, e);
}

static enum err_code run_final(void *context, int worker, size_t task, const atomic_bool *stop,
                               struct err *e)
{
    (void)worker;
    (void)task;
    struct fit *f = context;
    CLEANUP(objective_fini) struct objective o;
    enum err_code r = objective_init(f, -1, stop, &o, e);
    if (r)
        return r;
    o.penalty = f->penalties[f->chosen];
    return lbfgs_run(o.solver, evaluate, &o, f->options->max_iterations, f->options->tolerance,
                     f->w, &f->final, e);
}

/* Penalties are in order, strongest first, so that a tie goes to the stronger. */
static void choose_penalty(struct fit *f, struct head_report *report)
{
    double best = INFINITY, judged = (double)f->rows * f->repeats;
    for (int i = 0; i < f->penalty_count; i++) {
        double loss = 0;
        int correct = 0;
        for (int k = 0; k < parts_of(f); k++) {
            loss += f->paths[k].loss[i];
            correct += f->paths[k].correct[i];
        }
        if (!(loss < best))
            continue;
        best = loss;
        f->chosen = i;
        report->cv_log_loss = loss / judged;
        report->cv_accuracy = correct / judged;
    }
}

static void start_from_parts(struct fit *f)
{
    for (int k = 0; k < parts_of(f); k++)
        for (size_t i = 0; i < weights_of(f); i++)
            f->w[i] += f->paths[k].weight[i] / (float)parts_of(f);
}

static bool told(void *context, size_t done, size_t total)
{
    struct fit *f = context;
    /* The final fit comes after the parts, of which there are more than one. */
    int before = total == 1 ? parts_of(f) : 0;
    return f->progress && f->progress(f->progress_context, before + (int)done, parts_of(f) + 1);
}

static void fit_fini(struct fit *f)
{
    for (int k = 0; f->paths && k < f->options->folds * f->repeats; k++) {
        free(f->paths[k].loss);
        free(f->paths[k].correct);
        free(f->paths[k].weight);
    }
    free(f->paths);
    free(f->x);
    free(f->mean);
    free(f->scale);
    free(f->class_weight);
    free(f->penalties);
    free(f->fold);
    free(f->w);
}

static int stronger_first(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p < q) - (p > q);
}

static enum err_code fit_init(struct fit *f, struct err *e)
{
    const struct head_options *o = f->options;
    const double *penalties = o->penalties ? o->penalties : default_penalties;
    f->penalty_count = o->penalties ? o->penalty_count
                                    : (int)(sizeof default_penalties / sizeof *default_penalties);
    int repeats = (JUDGED_WANTED + f->rows - 1) / f->rows;
    f->repeats = f->penalty_count == 1 ? 1 : repeats < REPEATS_MAX ? repeats : REPEATS_MAX;
    f->data.stride = ((size_t)f->width + 1 + SOFTMAX_LANES - 1) / SOFTMAX_LANES * SOFTMAX_LANES;
    f->x = new_floats((size_t)f->rows * f->data.stride);
    f->mean = calloc((size_t)f->width, sizeof *f->mean);
    f->scale = calloc((size_t)f->width, sizeof *f->scale);
    f->class_weight = calloc((size_t)f->data.classes, sizeof *f->class_weight);
    f->penalties = calloc((size_t)f->penalty_count, sizeof *f->penalties);
    f->fold = calloc((size_t)f->rows, (size_t)f->repeats * sizeof *f->fold);
    f->paths = calloc((size_t)o->folds, (size_t)f->repeats * sizeof *f->paths);
    f->w = new_floats(weights_of(f));
    if (!f->x || !f->mean || !f->scale || !f->class_weight || !f->penalties || !f->fold ||
        !f->paths || !f->w)
        return err_set(e, ERR_NOMEM, "no memory to fit a head on %d x %d features", f->rows,
                       f->width);
    for (int k = 0; k < o->folds * f->repeats; k++) {
        struct path *p = &f->paths[k];
        p->loss = calloc((size_t)f->penalty_count, sizeof *p->loss);
        p->correct = calloc((size_t)f->penalty_count, sizeof *p->correct);
        p->weight = new_floats(weights_of(f));
        if (!p->loss || !p->correct || !p->weight)
            return err_set(e, ERR_NOMEM, "no memory for %d folds", o->folds);
    }
    f->data.x = f->x;
    memcpy(f->penalties, penalties, (size_t)f->penalty_count * sizeof *penalties);
    qsort(f->penalties, (size_t)f->penalty_count, sizeof *f->penalties, stronger_first);
    return ERR_OK;
}

/* Each repeat deals with a seed of its own; the first with the caller's. */
static enum err_code deal_folds(struct fit *f, const int *group, struct err *e)
{
    enum err_code r = ERR_OK;
    for (int k = 0; !r && k < f->repeats; k++)
        r = folds_deal(f->data.y, group, f->rows, f->data.classes, f->options->folds,
                       f->options->seed + (uint64_t)k * 0xd1b54a32d192ed03u,
                       f->fold + (size_t)k * (size_t)f->rows, &f->folds, e);
    return r;
}

/* 1, or rows / (classes * rows of the class): mean 1 over the rows. */
static void weigh_classes(struct fit *f)
{
    int classes = f->data.classes;
    for (int i = 0; i < f->rows; i++)
        f->class_weight[f->data.y[i]]++;
    for (int c = 0; c < classes; c++)
        f->class_weight[c] =
            f->options->balanced ? (double)f->rows / (classes * f->class_weight[c]) : 1;
}

/* Undoes the standardisation: W' x' + b' = W x + b. */
static enum err_code finish(const struct fit *f, struct head *ret, struct err *e)
{
    size_t width = (size_t)f->width;
    struct head h = { .classes = f->data.classes, .width = f->width };
    h.weight = calloc((size_t)h.classes * width, sizeof *h.weight);
    h.bias = calloc((size_t)h.classes, sizeof *h.bias);
    if (!h.weight || !h.bias) {
        head_fini(&h);
        return err_set(e, ERR_NOMEM, "no memory for a head");
    }
    for (int c = 0; c < h.classes; c++) {
        const float *w = f->w + (size_t)c * f->data.stride;
        double bias = (double)w[width];
        for (size_t j = 0; j < width; j++) {
            double weight = (double)w[j] * f->scale[j];
            bias -= weight * f->mean[j];
            h.weight[(size_t)c * width + j] = (float)weight;
        }
        h.bias[c] = (float)bias;
    }
    *ret = h;
    return ERR_OK;
}

enum err_code head_fit(const float *x, const int *y, const int *group, int rows, int width,
                       int classes, const struct head_options *o, head_progress progress,
                       void *context, struct head *ret, struct head_report *ret_report,
                       struct err *e)
{
    CLEANUP(fit_fini)
    struct fit f = { .data = { .y = y, .classes = classes },
                     .rows = rows,
                     .width = width,
                     .options = o,
                     .progress = progress,
                     .progress_context = context };
    struct head_report report = { 0 };
    enum err_code r = fit_init(&f, e);
    if (!r)
        r = deal_folds(&f, group, e);
    if (!r)
        r = standardise(&f, x, e);
    if (r)
        return r;
    weigh_classes(&f);
    struct crew_options crew = { .name = "kennel-fit",
                                 .threads = o->threads,
                                 .tasks = (size_t)parts_of(&f),
                                 .task = run_part,
                                 .progress = told,
                                 .context = &f };
    r = crew_run(&crew, e);
    if (r)
        return r;
    choose_penalty(&f, &report);
    start_from_parts(&f);
    crew.tasks = 1;
    crew.task = run_final;
    r = crew_run(&crew, e);
    if (!r)
        r = finish(&f, ret, e);
    if (r)
        return r;
    report.penalty = f.penalties[f.chosen];
    report.folds = f.folds;
    report.iterations = f.final.iterations;
    report.converged = f.final.converged;
    double squares = 0;
    for (int c = 0; c < classes; c++)
        for (int j = 0; j < width; j++) {
            double v = (double)f.w[(size_t)c * f.data.stride + (size_t)j];
            squares += v * v;
        }
    report.train_log_loss = f.final.value - report.penalty / 2 * squares;
    *ret_report = report;
    return ERR_OK;
}

/* Sixteen partial sums: enough to be vectorised and to keep float32's digits. */
static float dot(const float *a, const float *b, int n)
{
    typedef float vec __attribute__((vector_size(16), aligned(4)));
    vec sum[4] = { 0 };
    int i = 0;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 4; k++)
            sum[k] += *(const vec *)(a + i + 4 * k) * *(const vec *)(b + i + 4 * k);
    vec all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    float total = (all[0] + all[1]) + (all[2] + all[3]);
    for (; i < n; i++)
        total += a[i] * b[i];
    return total;
}

void head_apply(const struct head *h, const float *x, int rows, float *ret)
{
    for (int i = 0; i < rows; i++) {
        const float *row = x + (size_t)i * (size_t)h->width;
        float *p = ret + (size_t)i * (size_t)h->classes;
        float largest = -INFINITY, sum = 0;
        for (int c = 0; c < h->classes; c++) {
            p[c] = dot(row, h->weight + (size_t)c * (size_t)h->width, h->width) + h->bias[c];
            largest = p[c] > largest ? p[c] : largest;
        }
        for (int c = 0; c < h->classes; c++) {
            p[c] = expf(p[c] - largest);
            sum += p[c];
        }
        for (int c = 0; c < h->classes; c++)
            p[c] /= sum;
    }
}
