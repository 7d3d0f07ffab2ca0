#include "api/body_stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

enum { RING = 64, TOTAL = 100000 };

static atomic_int wakes;

static void wake(void *context)
{
    (void)context;
    atomic_fetch_add(&wakes, 1);
}

static atomic_bool is_gone;

static bool gone(void *context)
{
    (void)context;
    return atomic_load(&is_gone);
}

static struct body_stream *make(void)
{
    struct body_stream *s;
    atomic_store(&wakes, 0);
    assert_int_equal(body_stream_new(RING, wake, gone, NULL, &s, NULL), ERR_OK);
    return s;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static void test_full_ring_takes_no_more(void **state)
{
    (void)state;
    struct body_stream *s = make();
    uint8_t bytes[RING + 10];
    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(body_stream_write(s, bytes, RING - 1), RING - 1);
    assert_int_equal(body_stream_write(s, bytes, 10), 1);
    assert_int_equal(body_stream_write(s, bytes, 10), 0);
    assert_false(body_stream_wanted(s));
    struct err e;
    assert_int_equal(body_stream_read(s, bytes, 1, &e), 1);
    assert_true(body_stream_wanted(s));
    assert_int_equal(wakes, 1); /* the first read; one byte is no room worth waking for */
    assert_int_equal(body_stream_read(s, bytes, RING, &e), RING - 1);
    assert_int_equal(wakes, 2);
    body_stream_free(s);
}

static void test_end(void **state)
{
    (void)state;
    struct body_stream *s = make();
    uint8_t bytes[10];
    struct err e;
    assert_int_equal(body_stream_write(s, "abc", 3), 3);
    body_stream_end(s);
    assert_int_equal(body_stream_read(s, bytes, 2, &e), 2);
    assert_int_equal(body_stream_read(s, bytes, 10, &e), 1);
    assert_int_equal(body_stream_read(s, bytes, 10, &e), 0);
    assert_int_equal(body_stream_read(s, bytes, 10, &e), 0);
    body_stream_free(s);
}

static void test_abort(void **state)
{
    (void)state;
    struct body_stream *s = make();
    uint8_t bytes[10];
    struct err why, e;
    err_set(&why, ERR_BODY_INCOMPLETE, "gone");
    body_stream_write(s, "abc", 3);
    body_stream_abort(s, &why);
    err_set(&why, ERR_INTERNAL, "later");
    body_stream_abort(s, &why);
    assert_int_equal(body_stream_read(s, bytes, 10, &e), -1);
    assert_int_equal(e.code, ERR_BODY_INCOMPLETE);
    assert_string_equal(e.message, "gone");
    assert_int_equal(body_stream_write(s, bytes, 10), 10); /* thrown away */
    body_stream_free(s);
}

/* A sender that hung up without a word does not hold its reader until some time-out. */
static void test_gone_sender(void **state)
{
    (void)state;
    struct body_stream *s = make();
    uint8_t bytes[10];
    struct err e;
    atomic_store(&is_gone, true);
    assert_int_equal(body_stream_write(s, "abc", 3), 3);
    assert_int_equal(body_stream_read(s, bytes, sizeof bytes, &e), 3); /* what came still counts */
    assert_int_equal(body_stream_read(s, bytes, sizeof bytes, &e), -1);
    assert_int_equal(e.code, ERR_BODY_INCOMPLETE);
    atomic_store(&is_gone, false);
    body_stream_free(s);
}

static void test_closed_reader_swallows(void **state)
{
    (void)state;
    struct body_stream *s = make();
    uint8_t bytes[10 * RING] = { 0 };
    body_stream_close(s);
    assert_int_equal(body_stream_write(s, bytes, sizeof bytes), sizeof bytes);
    body_stream_free(s);
}

struct pipe {
    struct body_stream *s;
    pthread_mutex_t mu;
    pthread_cond_t room;
    int wakes;
};

static void pipe_wake(void *context)
{
    struct pipe *p = context;
    pthread_mutex_lock(&p->mu);
    p->wakes++;
    pthread_cond_signal(&p->room);
    pthread_mutex_unlock(&p->mu);
}

/* As the HTTP thread does: what is not taken is offered again after a wake. */
static void *send_all(void *context)
{
    struct pipe *p = context;
    for (size_t at = 0; at < TOTAL;) {
        uint8_t piece[37];
        size_t len = TOTAL - at < sizeof piece ? TOTAL - at : sizeof piece;
        for (size_t i = 0; i < len; i++)
            piece[i] = byte_at(at + i);
        pthread_mutex_lock(&p->mu);
        int before = p->wakes;
        size_t n = body_stream_write(p->s, piece, len);
        while (n < len && p->wakes == before)
            pthread_cond_wait(&p->room, &p->mu);
        pthread_mutex_unlock(&p->mu);
        at += n;
    }
    body_stream_end(p->s);
    return NULL;
}

static void test_every_byte_in_order(void **state)
{
    (void)state;
    struct pipe p = { 0 };
    pthread_mutex_init(&p.mu, NULL);
    pthread_cond_init(&p.room, NULL);
    assert_int_equal(body_stream_new(RING, pipe_wake, gone, &p, &p.s, NULL), ERR_OK);
    pthread_t sender;
    assert_int_equal(pthread_create(&sender, NULL, send_all, &p), 0);
    uint8_t bytes[29];
    struct err e;
    size_t at = 0;
    for (ssize_t n; (n = body_stream_read(p.s, bytes, sizeof bytes, &e)) != 0;) {
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], byte_at(at++));
    }
    assert_int_equal(at, TOTAL);
    pthread_join(sender, NULL);
    body_stream_free(p.s);
    pthread_cond_destroy(&p.room);
    pthread_mutex_destroy(&p.mu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_ring_takes_no_more),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_gone_sender),
        cmocka_unit_test(test_closed_reader_swallows),
        cmocka_unit_test(test_every_byte_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
