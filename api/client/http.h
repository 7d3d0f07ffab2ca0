/* http.h -- one request to the server at a time, by libcurl.
 *
 * A call that fails has told why on standard error: the server's own words and code, or that it
 * cannot be reached. */
#ifndef KENNEL_CLIENT_HTTP_H
#define KENNEL_CLIENT_HTTP_H

#include "api/client/command.h"
#include "data/base/buf.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

struct http;
struct progress;

/* All borrowed. key: an API key, or NULL. ca: a PEM file with the authorities to trust instead of
 * the system's, or NULL. NULL without memory. */
struct http *http_new(const char *url, const char *key, const char *ca);
void http_free(struct http *h);

/* What is sent. All zero: no body. */
struct http_body {
    const char *type;  /* content type */
    const void *bytes; /* in memory, or ... */
    size_t len;
    ssize_t (*read)(void *context, void *bytes, size_t len); /* ... streamed; -1: give up */
    void *context;
    int64_t size;              /* of the stream; -1: not known before */
    struct progress *progress; /* shows bytes sent of `expected`; may be NULL */
    int64_t expected;
};

struct http_reply {
    long status;
    struct buf body;
    json_t *json; /* NULL when the body is none */
};
void http_reply_fini(struct http_reply *r);

/* A header of the next call only. name and value are borrowed until then; value NULL: none. */
void http_header(struct http *h, const char *name, const char *value);

/* path: a printf format below the server's root whose %s arguments are URL-escaped. A 2xx answer is
 * DONE; problems are mapped: gate_refused REJECTED, others FAILED. ret is to be given to _fini() in
 * any case. */
enum outcome http_call(struct http *h, const char *method, const struct http_body *body,
                       struct http_reply *ret, const char *path, ...)
    __attribute__((format(printf, 5, 6)));
/* JSON in, JSON out; takes json. */
enum outcome http_call_json(struct http *h, const char *method, json_t *json,
                            struct http_reply *ret, const char *path, ...)
    __attribute__((format(printf, 5, 6)));
/* The same with a path as it stands, query and all. USAGE when it is none. */
enum outcome http_call_at(struct http *h, const char *method, const struct http_body *body,
                          struct http_reply *ret, const char *path);
/* The body goes to the file. */
enum outcome http_download(struct http *h, FILE *to, struct progress *progress, const char *path,
                           va_list ap) __attribute__((format(printf, 4, 0)));

/* An answer that comes line by line: each is handed to on_line without its end, as it comes. False
 * from on_line ends it, which is DONE. */
enum outcome http_lines(struct http *h, bool (*on_line)(void *context, char *line), void *context,
                        const char *path, ...) __attribute__((format(printf, 4, 5)));

/* The body as it came, on standard output. */
void http_print(const struct http_reply *r);

#endif
