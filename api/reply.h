/* reply.h -- what a request is answered with, before libmicrohttpd sees it.
 * Threads: one owner at a time. */
#ifndef KENNEL_REPLY_H
#define KENNEL_REPLY_H

#include "data/base/buf.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

enum { REPLY_HEADERS = 6, REPLY_HEADER_VALUE = 256 };

struct MHD_Connection;

#define REPLY_SIZE_UNKNOWN UINT64_MAX

/* A body that is made while it is sent: libmicrohttpd's content reader and what it needs. leave is
 * called once, when nothing more is wanted. */
struct reply_source {
    void *context; /* one reference, owned; NULL: there is none */
    uint64_t size; /* or REPLY_SIZE_UNKNOWN */
    void (*attach)(void *context, struct MHD_Connection *connection); /* before the first read */
    ssize_t (*read)(void *context, uint64_t position, char *bytes, size_t max);
    void (*leave)(void *context);
};

struct reply_header {
    const char *name; /* static */
    char value[REPLY_HEADER_VALUE];
};

struct reply {
    int status;        /* 0: none yet */
    const char *type;  /* of the content, static */
    struct buf body;   /* owned */
    const void *fixed; /* instead of body: static bytes */
    size_t fixed_len;
    struct reply_source source; /* instead of body */
    int fd;                     /* instead of body: a file, owned; -1: none */
    uint64_t fd_size;
    struct reply_header headers[REPLY_HEADERS];
    int header_count;
};

void reply_init(struct reply *r);
void reply_fini(struct reply *r);
/* Drops what was set so far. */
void reply_reset(struct reply *r);

/* A header past REPLY_HEADERS is a bug. A value that is too long is cut. */
void reply_header(struct reply *r, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool reply_has_header(const struct reply *r, const char *name);

/* value: borrowed; members in the order in which they were put, a newline behind. */
enum err_code reply_json(struct reply *r, int status, const json_t *value, struct err *e) MUST_USE;
/* The same, and takes value. */
enum err_code reply_json_take(struct reply *r, int status, json_t *value, struct err *e) MUST_USE;
/* {"NAME": list} with status 200; takes list. */
enum err_code reply_list(struct reply *r, const char *name, json_t *list, struct err *e) MUST_USE;
void reply_fixed(struct reply *r, int status, const char *type, const void *bytes, size_t len);

#endif
