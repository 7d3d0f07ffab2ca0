/* Requests over keep-alive connections, one thread each, which wait for nothing but the server.
 * With a rate, requests start when they are due and not when a reply has come: a latency counts
 * from then, so that a server that stalls is charged for all that it kept waiting.
 * One body has one answer from one version (X-Kennel-Version): a reply that differs from the first
 * of its kind is told as "changed", so that a version with another's labels or numbers is seen.
 * usage: bench_serve_load PORT PATH TYPE SECONDS CONNECTIONS RATE BODY...
 * RATE in requests a second, 0: as fast as replies come. BODY: files, sent in turn. */
#include "data/base/clock.h"
#include "data/base/file.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES_MAX = 1 << 20, REPLY_MAX = 1 << 16, BODY_MAX = 64 << 20, PATIENCE_S = 30 };
enum { VERSIONS_MAX = 16 };

/* What each version answered first. */
struct answers {
    int count;
    struct {
        long version;
        uint64_t hash;
    } of[VERSIONS_MAX];
};

struct load {
    int port;
    struct buf *requests; /* [count] heads and bodies */
    pthread_mutex_t mu;
    struct answers *answers; /* [count]; guarded by mu */
    size_t count;
    double rate;
    int64_t start_us, until_us;
    atomic_size_t next; /* request's number */
};

struct client {
    struct load *load;
    pthread_t thread;
    int fd;     /* -1: closed */
    double *ms; /* [SAMPLES_MAX] of the good ones */
    size_t good, bad, changed;
};

static void must(enum err_code code, const struct err *e)
{
    if (!code)
        return;
    fprintf(stderr, "bench_serve_load: %s\n", e->message);
    exit(1);
}

static void *need(void *p)
{
    if (!p) {
        fprintf(stderr, "bench_serve_load: no memory\n");
        exit(1);
    }
    return p;
}

static int dial(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool send_all(int fd, const struct buf *b)
{
    for (size_t at = 0; at < b->len;) {
        ssize_t n = send(fd, (const char *)b->data + at, b->len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

struct reply {
    int status;
    bool closes;
    long version;  /* 0: it does not say */
    uint64_t hash; /* of its predictions */
};

/* FNV-1a. What comes before "predictions" in our own form differs with each reply (its id). */
static uint64_t hash_body(const char *body, const char *end)
{
    const char *from = strstr(body, "\"predictions\"");
    uint64_t hash = 0xcbf29ce484222325;
    for (const char *c = from ? from : body; c < end; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
    return hash;
}

/* Of a header in text, whose head ends there; NULL: it has none of that name. */
static const char *header(const char *text, const char *end, const char *name)
{
    const char *at = strcasestr(text, name);
    return at && at < end ? at + strlen(name) : NULL;
}

/* One reply with a Content-Length. False: none came. */
static bool read_reply(int fd, struct reply *ret)
{
    char text[REPLY_MAX];
    size_t got = 0, head = 0, whole = SIZE_MAX;
    *ret = (struct reply){ .closes = true };
    while (got < whole) {
        ssize_t n = recv(fd, text + got, sizeof text - 1 - got, 0);
        if (n <= 0)
            return false;
        got += (size_t)n;
        text[got] = 0;
        const char *end = whole == SIZE_MAX ? strstr(text, "\r\n\r\n") : NULL;
        if (end) {
            const char *length = header(text, end, "\r\nContent-Length:");
            if (!length || sscanf(text, "HTTP/1.%*d %d", &ret->status) != 1)
                return false;
            head = (size_t)(end + 4 - text);
            whole = head + strtoul(length, NULL, 10);
            ret->closes = header(text, end, "\r\nConnection: close");
            const char *version = header(text, end, "\r\nX-Kennel-Version:");
            ret->version = version ? strtol(version, NULL, 10) : 0;
        }
        if (got == sizeof text - 1 && got < whole)
            return false;
    }
    ret->hash = hash_body(text + head, text + whole);
    return true;
}

static bool is_first_or_same(struct load *l, size_t body, const struct reply *r)
{
    struct answers *a = &l->answers[body];
    pthread_mutex_lock(&l->mu);
    int at = 0;
    while (at < a->count && a->of[at].version != r->version)
        at++;
    bool same = at == a->count ? at < VERSIONS_MAX : a->of[at].hash == r->hash;
    if (at == a->count && same) {
        a->of[at].version = r->version;
        a->of[at].hash = r->hash;
        a->count++;
    }
    pthread_mutex_unlock(&l->mu);
    return same;
}

static void one(struct client *c, size_t body, int64_t due_us)
{
    struct reply reply = { .closes = true };
    if (c->fd < 0)
        c->fd = dial(c->load->port);
    bool ok = c->fd >= 0 && send_all(c->fd, &c->load->requests[body]) && read_reply(c->fd, &reply);
    if (ok && reply.status == 200) {
        c->ms[c->good++] = (double)(clock_monotonic_us() - due_us) / 1000;
        c->changed += !is_first_or_same(c->load, body, &reply);
    } else {
        c->bad++;
    }
    if ((!ok || reply.closes) && c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

static void *run(void *context)
{
    struct client *c = context;
    struct load *l = c->load;
    while (c->good < SAMPLES_MAX) {
        size_t number = atomic_fetch_add(&l->next, 1);
        int64_t due = clock_monotonic_us();
        if (l->rate > 0) {
            due = l->start_us + (int64_t)((double)number * 1e6 / l->rate);
            const struct timespec at = { .tv_sec = due / 1000000, .tv_nsec = due % 1000000 * 1000 };
            if (due < l->until_us)
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        }
        if (due >= l->until_us)
            break;
        one(c, number % l->count, due);
    }
    if (c->fd >= 0)
        close(c->fd);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct buf make_request(const char *path, const char *type, const char *file)
{
    struct err e;
    struct buf body, request;
    char head[1024];
    buf_init(&body, BODY_MAX);
    buf_init(&request, BODY_MAX + sizeof head);
    must(file_read(file, &body, &e), &e);
    snprintf(
        head, sizeof head,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
        path, type, body.len);
    must(buf_append(&request, head, strlen(head), &e), &e);
    must(buf_append(&request, body.data, body.len, &e), &e);
    buf_fini(&body);
    return request;
}

static void report(struct client *clients, int connections, double seconds)
{
    size_t good = 0, bad = 0, changed = 0, at = 0;
    for (int i = 0; i < connections; i++) {
        good += clients[i].good;
        bad += clients[i].bad;
        changed += clients[i].changed;
    }
    double *all = need(calloc(good + 1, sizeof *all)); /* one more: there may be none */
    for (int i = 0; i < connections; i++)
        for (size_t k = 0; k < clients[i].good; k++)
            all[at++] = clients[i].ms[k];
    qsort(all, good, sizeof *all, by_size);
    printf("{\"good\": %zu, \"bad\": %zu, \"changed\": %zu, \"per_s\": %.2f, \"p50_ms\": %.4f, "
           "\"p99_ms\": %.4f, "
           "\"p999_ms\": %.4f, \"max_ms\": %.4f}\n",
           good, bad, changed, (double)good / seconds, all[good / 2], all[good * 99 / 100],
           all[good * 999 / 1000], all[good ? good - 1 : 0]);
    free(all);
}

int main(int argc, char **argv)
{
    if (argc < 8) {
        fprintf(stderr,
                "usage: bench_serve_load PORT PATH TYPE SECONDS CONNECTIONS RATE BODY...\n");
        return 2;
    }
    struct load l = { .port = atoi(argv[1]), .rate = atof(argv[6]), .count = (size_t)argc - 7 };
    double seconds = atof(argv[4]);
    int connections = atoi(argv[5]);
    if (connections < 1 || connections > 1024 || seconds <= 0)
        return 2;
    l.requests = need(calloc(l.count, sizeof *l.requests));
    l.answers = need(calloc(l.count, sizeof *l.answers));
    pthread_mutex_init(&l.mu, NULL);
    for (size_t i = 0; i < l.count; i++)
        l.requests[i] = make_request(argv[2], argv[3], argv[7 + i]);
    struct client *clients = need(calloc((size_t)connections, sizeof *clients));
    for (int i = 0; i < connections; i++)
        clients[i] = (struct client){ .load = &l,
                                      .fd = -1,
                                      .ms = need(malloc(SAMPLES_MAX * sizeof(double))) };
    l.start_us = clock_monotonic_us();
    l.until_us = l.start_us + (int64_t)(seconds * 1e6);
    for (int i = 0; i < connections; i++)
        if (pthread_create(&clients[i].thread, NULL, run, &clients[i]))
            return 1;
    for (int i = 0; i < connections; i++)
        pthread_join(clients[i].thread, NULL);
    report(clients, connections, (double)(clock_monotonic_us() - l.start_us) / 1e6);
    for (int i = 0; i < connections; i++)
        free(clients[i].ms);
    free(clients);
    for (size_t i = 0; i < l.count; i++)
        buf_fini(&l.requests[i]);
    free(l.requests);
    free(l.answers);
    pthread_mutex_destroy(&l.mu);
    return 0;
}
