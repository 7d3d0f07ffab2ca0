#include "nn/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { PIECES = 20000 };

struct work {
    int done[PIECES]; /* not atomic: the hand-over itself must order them */
};

static void share(void *context, int piece)
{
    struct work *w = context;
    w->done[piece]++;
}

/* Sometimes long enough for the companion to fall asleep, or to come first. */
static void dawdle(int piece)
{
    struct timespec t = { 0, 50000 };
    if (piece % 64 == 0)
        nanosleep(&t, NULL);
    else if (piece % 3 == 0)
        sched_yield();
}

static void every_piece_is_done_once(void **state)
{
    (void)state;
    struct work *w = calloc(1, sizeof *w);
    struct duo *d;
    struct err e;
    assert_non_null(w);
    assert_int_equal(duo_new(share, w, &d, &e), ERR_OK);
    for (int i = 0; i < PIECES; i++) {
        duo_offer(d, i);
        dawdle(i);
        duo_finish(d);
        assert_int_equal(w->done[i], 1);
    }
    duo_free(d);
    free(w);
}

struct meeting {
    atomic_bool here, go;
};

static void meet(void *context, int piece)
{
    struct meeting *m = context;
    (void)piece;
    atomic_store(&m->here, true);
    while (!atomic_load(&m->go))
        sched_yield();
}

/* The companion takes a piece while the owner is at its own share, and the owner waits for it. */
static void companion_takes_its_share(void **state)
{
    (void)state;
    struct meeting m = { 0 };
    struct duo *d;
    struct err e;
    assert_int_equal(duo_new(meet, &m, &d, &e), ERR_OK);
    duo_offer(d, 0);
    while (!atomic_load(&m.here))
        sched_yield();
    atomic_store(&m.go, true);
    duo_finish(d);
    duo_free(d);
}

static void nothing_offered(void **state)
{
    (void)state;
    struct duo *d;
    struct err e;
    assert_int_equal(duo_new(meet, NULL, &d, &e), ERR_OK);
    duo_free(d);
    duo_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_is_done_once),
        cmocka_unit_test(companion_takes_its_share),
        cmocka_unit_test(nothing_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
