#include "nn/softmax.h"

#include "data/base/cleanup.h"

#include <math.h>
#include <string.h>

/* A block of rows (some 80 kB at 1280 features) stays in the second-level cache between the
 * logits and the gradient. Tiles are what fits 32 vector registers. */
enum { BLOCK_ROWS = 16, TILE_ROWS = 4, TILE_CLASSES = 4, TILE_VECTORS = 4 };

#if defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define NAME(x) x##_plain
#define TARGET
#define LANES 4
#include "nn/softmax_kernel.inc"

#if defined __x86_64__
#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#include "nn/softmax_kernel.inc"

#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f")))
#define LANES 16
#include "nn/softmax_kernel.inc"
#endif

struct kernel {
    void (*logits)(const float *const *x, const float *w, size_t stride, float *ret,
                   size_t class_stride);
    void (*gradient)(const float *const *x, const float *residual, size_t class_stride,
                     size_t stride, float *g);
};

struct softmax_scratch {
    struct kernel kernel;
    size_t class_stride; /* classes rounded up to TILE_CLASSES */
    float *zero_row;     /* [stride]: stands for the rows that a last block lacks */
    float *weight;       /* [class_stride][stride]: w, with zero rows behind the classes */
    float *gradient;     /* [class_stride][stride] */
    float *logits;       /* [BLOCK_ROWS][class_stride]; then the residuals */
};

bool softmax_has(enum softmax_vectors v)
{
#if defined __x86_64__
    if (v == SOFTMAX_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (v == SOFTMAX_AVX512)
        return __builtin_cpu_supports("avx512f");
#endif
    return v == SOFTMAX_WIDEST || v == SOFTMAX_PLAIN;
}

static struct kernel choose_kernel(enum softmax_vectors v)
{
#if defined __x86_64__
    if (v == SOFTMAX_WIDEST)
        v = softmax_has(SOFTMAX_AVX512) ? SOFTMAX_AVX512
            : softmax_has(SOFTMAX_AVX2) ? SOFTMAX_AVX2
                                        : SOFTMAX_PLAIN;
    if (v == SOFTMAX_AVX512)
        return (struct kernel){ logits_avx512, gradient_avx512 };
    if (v == SOFTMAX_AVX2)
        return (struct kernel){ logits_avx2, gradient_avx2 };
#endif
    return (struct kernel){ logits_plain, gradient_plain };
}

static float *zeroed(size_t floats)
{
    size_t bytes = (floats * sizeof(float) + SOFTMAX_ALIGN - 1) / SOFTMAX_ALIGN * SOFTMAX_ALIGN;
    float *p = aligned_alloc(SOFTMAX_ALIGN, bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

CLEANUP_DEFINE(struct softmax_scratch, softmax_scratch_free);

enum err_code softmax_scratch_new(const struct softmax_data *d, enum softmax_vectors v,
                                  struct softmax_scratch **ret, struct err *e)
{
    CLEANUP(softmax_scratch_free_p) struct softmax_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory to fit a head");
    if (!softmax_has(v))
        return err_set(e, ERR_INTERNAL, "this processor does not have vectors of kind %d", v);
    s->kernel = choose_kernel(v);
    s->class_stride = ((size_t)d->classes + TILE_CLASSES - 1) / TILE_CLASSES * TILE_CLASSES;
    s->zero_row = zeroed(d->stride);
    s->weight = zeroed(s->class_stride * d->stride);
    s->gradient = zeroed(s->class_stride * d->stride);
    s->logits = zeroed(BLOCK_ROWS * s->class_stride);
    if (!s->zero_row || !s->weight || !s->gradient || !s->logits)
        return err_set(e, ERR_NOMEM, "no memory to fit a head of %d classes", d->classes);
    *ret = STEAL(s);
    return ERR_OK;
}

void softmax_scratch_free(struct softmax_scratch *s)
{
    if (!s)
        return;
    free(s->zero_row);
    free(s->weight);
    free(s->gradient);
    free(s->logits);
    free(s);
}

/* z [classes] -> log sum exp; z becomes z - max. */
static float shift_logits(float *z, int classes)
{
    float largest = z[0];
    for (int c = 1; c < classes; c++)
        largest = z[c] > largest ? z[c] : largest;
    float sum = 0;
    for (int c = 0; c < classes; c++) {
        z[c] -= largest;
        sum += expf(z[c]);
    }
    return logf(sum);
}

/* The rows from `first` on, their logits in s->logits; returns how many there are. */
static int run_block(const struct softmax_data *d, struct softmax_scratch *s, const int *rows,
                     int count, int first, const float *x[BLOCK_ROWS])
{
    int n = count - first < BLOCK_ROWS ? count - first : BLOCK_ROWS;
    for (int r = 0; r < BLOCK_ROWS; r++)
        x[r] = r < n ? d->x + (size_t)rows[first + r] * d->stride : s->zero_row;
    s->kernel.logits(x, s->weight, d->stride, s->logits, s->class_stride);
    return n;
}

double softmax_loss(const struct softmax_data *d, struct softmax_scratch *s, const int *rows,
                    int count, const float *w, float *ret_gradient)
{
    const float *x[BLOCK_ROWS];
    size_t bytes = (size_t)d->classes * d->stride * sizeof(float);
    memcpy(s->weight, w, bytes);
    memset(s->gradient, 0, bytes);
    double loss = 0;
    for (int first = 0; first < count; first += BLOCK_ROWS) {
        int n = run_block(d, s, rows, count, first, x);
        for (int r = 0; r < BLOCK_ROWS; r++) {
            float *z = s->logits + (size_t)r * s->class_stride;
            if (r >= n) {
                memset(z, 0, s->class_stride * sizeof *z);
                continue;
            }
            int y = d->y[rows[first + r]];
            double scale = d->class_scale[y];
            float log_sum = shift_logits(z, d->classes);
            loss += scale * ((double)log_sum - (double)z[y]);
            for (int c = 0; c < d->classes; c++)
                z[c] = (float)scale * (expf(z[c] - log_sum) - (c == y ? 1.0f : 0.0f));
            for (size_t c = (size_t)d->classes; c < s->class_stride; c++)
                z[c] = 0;
        }
        s->kernel.gradient(x, s->logits, s->class_stride, d->stride, s->gradient);
    }
    memcpy(ret_gradient, s->gradient, bytes);
    return loss;
}

void softmax_score(const struct softmax_data *d, struct softmax_scratch *s, const int *rows,
                   int count, const float *w, double *ret_log_loss, int *ret_correct)
{
    static const double smallest_p = 1e-15;
    const float *x[BLOCK_ROWS];
    memcpy(s->weight, w, (size_t)d->classes * d->stride * sizeof(float));
    double loss = 0;
    int correct = 0;
    for (int first = 0; first < count; first += BLOCK_ROWS) {
        int n = run_block(d, s, rows, count, first, x);
        for (int r = 0; r < n; r++) {
            float *z = s->logits + (size_t)r * s->class_stride;
            int y = d->y[rows[first + r]], best = 0;
            for (int c = 1; c < d->classes; c++)
                best = z[c] > z[best] ? c : best;
            correct += best == y;
            double row_loss = (double)shift_logits(z, d->classes) - (double)z[y];
            loss += row_loss > -log(smallest_p) ? -log(smallest_p) : row_loss;
        }
    }
    *ret_log_loss = loss;
    *ret_correct = correct;
}
