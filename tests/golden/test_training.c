/* Ten steps of SGD on torchvision's networks, from the same numbers, against the losses of PyTorch
 * (tests/golden/training.py, which has the formulas too). */
#include "data/base/cleanup.h"
#include "nn/learner.h"
#include "nn/network_parts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { CLASSES = 10, BATCH = 16, SIDE = 64, STEPS = 10, FILE_MAX = 1 << 27 };
static const double smoothing = 0.1, tolerance = 1e-3;

static void ok(enum err_code code, const struct err *e)
{
    if (code)
        fail_msg("%s: %s", err_slug(code), e->message);
}

static void path_of(const char *file, char ret[4096])
{
    const char *source = getenv("KENNEL_SOURCE");
    snprintf(ret, 4096, "%s/tests/golden/training/%s", source ? source : ".", file);
}

static struct network *read_network(const char *name)
{
    char file[256], path[4096];
    snprintf(file, sizeof file, "%s.onnx.gz", name);
    path_of(file, path);
    gzFile f = gzopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    CLEANUP(cleanup_free) unsigned char *bytes = malloc(FILE_MAX);
    assert_non_null(bytes);
    int len = gzread(f, bytes, FILE_MAX);
    assert_true(len > 0);
    assert_int_equal(gzclose(f), Z_OK);
    struct network *n;
    struct err e;
    ok(network_load(bytes, (size_t)len, &n, &e), &e);
    return n;
}

static uint64_t seed_of(const char *name)
{
    uint32_t seed = 2166136261u;
    for (; *name; name++)
        seed = (seed ^ (uint32_t)(unsigned char)*name) * 16777619u;
    return seed;
}

static double number(uint64_t seed, uint64_t i)
{
    uint64_t z = (i + seed) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 31)) * 0xbf58476d1ce4e5b9u;
    z ^= z >> 29;
    return (double)(z >> 40) / 8388608.0 - 1;
}

/* dims of a weight: how many outputs it has, and whether it is a matrix. */
static void fill(struct learner_param *p, int64_t outputs, bool matrix)
{
    uint64_t seed = seed_of(p->name);
    double fan = (double)p->count / (double)outputs;
    for (size_t i = 0; i < p->count; i++) {
        double u = number(seed, i);
        switch (p->kind) {
        case LEARNER_WEIGHT:
            u = matrix ? u / sqrt(fan) : u * sqrt(6 / fan);
            break;
        case LEARNER_NORM_SCALE:
            u = 1 + 0.2 * u;
            break;
        case LEARNER_NORM_SHIFT:
        case LEARNER_BIAS:
            u = 0.1 * u;
            break;
        case LEARNER_NORM_MEAN:
            u = 0;
            break;
        case LEARNER_NORM_VARIANCE:
            u = 1;
            break;
        }
        p->value[i] = (float)u;
    }
}

/* Fills all parameters; a weight's outputs are its bias's or its norm's entries, which follow it.
 */
static void fill_all(const struct network *n, struct learner *l)
{
    for (size_t i = 0; i < learner_param_count(l); i++) {
        struct learner_param *p = learner_param(l, i);
        int64_t outputs = 1;
        bool matrix = p->head;
        if (p->head) {
            outputs = CLASSES;
        } else if (p->kind == LEARNER_WEIGHT) {
            const struct tensor *t = &n->graph.values[graph_find(&n->graph, p->name)].constant;
            assert_true(t->rank == 2 || t->rank == 4);
            matrix = t->rank == 2;
            outputs = t->dims[0];
        }
        fill(p, outputs, matrix);
    }
}

static void descend(struct learner *l, double rate)
{
    for (size_t i = 0; i < learner_param_count(l); i++) {
        struct learner_param *p = learner_param(l, i);
        for (size_t k = 0; k < p->count && p->gradient; k++)
            p->value[k] -= (float)rate * p->gradient[k];
    }
}

static void train(const char *name, double rate, const double *want)
{
    struct network *n = read_network(name);
    struct learner *l;
    struct err e;
    const struct learner_options o = { .classes = CLASSES,
                                       .batch = BATCH,
                                       .norm = LEARNER_NORM_BATCH,
                                       .norm_momentum = 0.1f,
                                       .threads = 2 };
    ok(learner_new(n, &o, &l, &e), &e);
    fill_all(n, l);
    size_t size = learner_input_size(l);
    assert_int_equal(size, 3 * SIDE * SIDE);
    float *x = malloc(BATCH * size * sizeof *x), target[BATCH][CLASSES];
    assert_non_null(x);
    for (size_t i = 0; i < BATCH * size; i++)
        x[i] = (float)number(seed_of("input"), i);
    for (int i = 0; i < BATCH; i++)
        for (int c = 0; c < CLASSES; c++)
            target[i][c] =
                (float)(smoothing / CLASSES + (c == i * 7 % CLASSES ? 1 - smoothing : 0));
    for (int step = 0; step < STEPS; step++) {
        double loss;
        ok(learner_step(l, BATCH, x, target[0], NULL, &loss, NULL, &e), &e);
        printf("%s step %d: %.7g, PyTorch %.7g, off by %.1e\n", name, step, loss, want[step],
               fabs(loss / want[step] - 1));
        if (!(fabs(loss / want[step] - 1) <= tolerance))
            fail_msg("%s, step %d: a loss of %.7g instead of %.7g", name, step, loss, want[step]);
        descend(l, rate);
    }
    free(x);
    learner_free(l);
    network_free(n);
}

static void test_losses(void **state)
{
    const char *name = *state;
    char path[4096], line[1024];
    path_of("losses.txt", path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    bool found = false;
    while (!found && fgets(line, sizeof line, f)) {
        char *at, *word = strtok_r(line, " \n", &at);
        double rate = 0, want[STEPS];
        found = word && strcmp(word, name) == 0;
        if (found) {
            word = strtok_r(NULL, " \n", &at);
            assert_non_null(word);
            rate = strtod(word, NULL);
        }
        for (int i = 0; i < STEPS && found; i++) {
            word = strtok_r(NULL, " \n", &at);
            assert_non_null(word);
            want[i] = strtod(word, NULL);
        }
        if (found)
            train(name, rate, want);
    }
    assert_int_equal(fclose(f), 0);
    assert_true(found);
}

/* usage: test_training [NETWORK] */
int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    struct CMUnitTest tests[] = {
        { "resnet18", test_losses, NULL, NULL, "resnet18" },
        { "mobilenet_v2", test_losses, NULL, NULL, "mobilenet_v2" },
        { "mobilenet_v3_small", test_losses, NULL, NULL, "mobilenet_v3_small" },
        { "efficientnet_b0", test_losses, NULL, NULL, "efficientnet_b0" },
        { "densenet121", test_losses, NULL, NULL, "densenet121" },
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
