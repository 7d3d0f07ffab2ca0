/* The task's side of a download, against readers of all paces; the HTTP tests see it over a
 * connection. */
#include "api/download.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

enum { MANY = 6 << 20, PIECE = 64 << 10 };

struct reader {
    struct reply_source source;
    size_t step; /* bytes at a time */
    long pause_ns;
    uint64_t wanted; /* bytes, then it leaves */
    uint64_t got;
    atomic_size_t written; /* an empty ring would suspend the connection, which there is not */
    atomic_bool broken_off;
    bool wrong; /* a byte is not the one that was written */
};

static void server_init(struct server *s)
{
    *s = (struct server){ .options.idle_seconds = 1 };
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->idle, NULL);
}

static void server_fini(struct server *s)
{
    assert_int_equal(s->working, 0);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->mu);
}

/* Byte i of what is written. */
static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 7 + (i >> 16));
}

static void *read_all(void *context)
{
    struct reader *r = context;
    char bytes[PIECE];
    while (r->got < r->wanted) {
        nanosleep(&(struct timespec){ .tv_nsec = r->pause_ns }, NULL);
        if (atomic_load(&r->broken_off))
            break;
        if (atomic_load(&r->written) <= r->got)
            continue;
        ssize_t n = r->source.read(r->source.context, r->got, bytes, r->step);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            r->wrong = r->wrong || (uint8_t)bytes[i] != byte_at(r->got + (uint64_t)i);
        r->got += (uint64_t)n;
    }
    r->source.leave(r->source.context);
    return NULL;
}

/* What writing so many bytes to that reader ends with. */
static enum err_code write_to(struct reader *r, size_t len, struct err *e)
{
    struct server server;
    struct download *d = NULL;
    pthread_t thread;
    uint8_t piece[PIECE];
    server_init(&server);
    assert_int_equal(download_new(&server, len, &d, &r->source, e), ERR_OK);
    r->wanted = r->wanted ? r->wanted : len;
    assert_int_equal(pthread_create(&thread, NULL, read_all, r), 0);
    enum err_code code = ERR_OK;
    for (size_t done = 0; !code && done < len; done += sizeof piece) {
        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = byte_at(done + i);
        code = download_write(d, piece, sizeof piece, e);
        if (!code)
            atomic_fetch_add(&r->written, sizeof piece);
    }
    atomic_store(&r->broken_off, code);
    pthread_join(thread, NULL);
    download_end(d, !code);
    server_fini(&server);
    return code;
}

static void test_a_reader_that_keeps_up(void **state)
{
    (void)state;
    struct err e;
    struct reader r = { .step = PIECE / 2, .pause_ns = 2000000 };
    assert_int_equal(write_to(&r, MANY, &e), ERR_OK);
    assert_int_equal(r.got, MANY);
    assert_false(r.wrong);
}

static void test_a_reader_that_drips(void **state)
{
    (void)state;
    struct err e;
    struct reader r = { .step = 10, .pause_ns = 2000000 };
    assert_int_equal(write_to(&r, MANY, &e), ERR_CLIENT_GONE);
    assert_non_null(strstr(e.message, "slower than 16384 bytes a second"));
    assert_false(r.wrong);
}

static void test_a_reader_that_leaves(void **state)
{
    (void)state;
    struct err e;
    struct reader r = { .step = PIECE, .pause_ns = 1000, .wanted = PIECE };
    assert_int_equal(write_to(&r, MANY, &e), ERR_CLIENT_GONE);
    assert_string_equal(e.message, "the client has gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_that_keeps_up),
        cmocka_unit_test(test_a_reader_that_drips),
        cmocka_unit_test(test_a_reader_that_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
