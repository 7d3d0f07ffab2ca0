/* Every operator set from 9 to 20 against ONNX Runtime: opsets.txt, made by opsets.py. */
#include "data/base/cleanup.h"
#include "nn/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SKIPPED = 77, BATCH = 2, PICTURE = 3 * 8 * 8, PATH_BYTES = 4096, FIRST = 9, LAST = 20 };

static int hex(char c)
{
    const char *at = strchr("0123456789abcdef", c);
    assert_true(c && at);
    return (int)(at - "0123456789abcdef");
}

/* Takes the text's place: two letters become one byte. */
static size_t decode(char *text)
{
    size_t len = strlen(text) / 2;
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(hex(text[2 * i]) << 4 | hex(text[2 * i + 1]));
    return len;
}

static void run(const char *what, const void *bytes, size_t len, int batch, const float *input,
                float *output, size_t count)
{
    struct network *n;
    struct plan *p;
    struct plan_scratch *s;
    struct err e;
    struct plan_options o = { .batch = batch };
    enum err_code r = network_load(bytes, len, &n, &e);
    if (r)
        fail_msg("%s: %s", what, e.message);
    r = plan_new(n, &o, &p, &e);
    if (r)
        fail_msg("%s: %s", what, e.message);
    assert_int_equal(plan_input_size(p), PICTURE);
    assert_int_equal(plan_output_size(p) * BATCH, count);
    assert_int_equal(plan_scratch_new(p, &s, &e), ERR_OK);
    for (int i = 0; i < BATCH / batch; i++)
        assert_int_equal(
            plan_run(p, s, input + i * PICTURE, output + (size_t)i * count / BATCH, &e), ERR_OK);
    plan_scratch_free(s);
    plan_free(p);
    network_free(n);
}

/* A line of opsets.txt; returns its operator set. */
static int check_line(char *line)
{
    char *at, what[80];
    const char *set = strtok_r(line, " ", &at), *family = strtok_r(NULL, " ", &at);
    char *file = strtok_r(NULL, " ", &at);
    assert_true(set && family && file);
    snprintf(what, sizeof what, "%s, operator set %s", family, set);
    float input[BATCH * PICTURE], want[256], ours[256];
    for (int i = 0; i < BATCH * PICTURE; i++)
        input[i] = (float)sin(i / 7.0);
    size_t count = 0, len = decode(file);
    float largest = 0;
    for (char *word; (word = strtok_r(NULL, " \n", &at)); count++) {
        assert_true(count < 256);
        want[count] = strtof(word, NULL);
        largest = fmaxf(largest, fabsf(want[count]));
    }
    for (int batch = 1; batch <= BATCH; batch++) {
        run(what, file, len, batch, input, ours, count);
        for (size_t i = 0; i < count; i++)
            if (!(fabsf(ours[i] - want[i]) <= 1e-5f * largest))
                fail_msg("%s, batch %d: entry %zu is %g instead of %g", what, batch, i,
                         (double)ours[i], (double)want[i]);
    }
    return atoi(set);
}

static void every_set_agrees(void **state)
{
    (void)state;
    char path[PATH_BYTES];
    CLEANUP(cleanup_free) char *line = NULL;
    size_t room = 0;
    int seen[LAST + 1] = { 0 };
    snprintf(path, sizeof path, "%s/tests/golden/opsets.txt", getenv("KENNEL_SOURCE"));
    CLEANUP(cleanup_file) FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (getline(&line, &room, f) > 0) {
        int set = check_line(line);
        assert_in_range(set, FIRST, LAST);
        seen[set]++;
    }
    for (int set = FIRST; set <= LAST; set++)
        assert_in_range(seen[set], set == FIRST ? 3 : 4, 4);
}

int main(void)
{
    if (!getenv("KENNEL_SOURCE"))
        return SKIPPED;
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_set_agrees) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
