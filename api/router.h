/* router.h -- which handler answers a method and a path.
 *
 * A pattern is literal segments and {name} ones, which match any one segment that is not empty and
 * has no colon; {name}:verb matches what ends with that verb. A literal wins over a {name}. HEAD is
 * answered as GET without the body.
 * Threads: tables are constant; matching touches nothing shared. */
#ifndef KENNEL_ROUTER_H
#define KENNEL_ROUTER_H

#include "data/base/err.h"

struct request;

enum route_body {
    BODY_NONE, /* what comes is read and thrown away */
    BODY_JSON,
    BODY_JSON_OPTIONAL, /* nothing is as good as {} */
    BODY_SCORE,         /* a picture, or JSON with one in base64 */
    BODY_SCORE_JSON,    /* the latter only */
    BODY_PICTURE,
    BODY_TENSORS,  /* JSON, with binary tensors behind it where a header says so; may be packed */
    BODY_BACKBONE, /* a stream: read by the handler while it comes, never all in memory */
    BODY_IMPORT,   /* BODY_JSON when the content type says so, else a stream */
};

enum route_run {
    RUN_INLINE, /* on the HTTP thread: must not wait for anything */
    RUN_TASK,   /* on a task thread, with the whole body there */
    RUN_UPLOAD, /* on a task thread that counts as an upload; a stream is read while it comes */
    RUN_SCORE,  /* on the HTTP thread while the body is small, else on a task thread */
};

/* Who may call a route once there are keys. A row that does not say is an admin's. What more than
 * ACCESS_SCORE is needed for is the trainer's: a follower refuses it and names its trainer. */
enum route_access {
    ACCESS_ADMIN,
    ACCESS_PROMOTE,
    ACCESS_TRAIN,
    ACCESS_SCORE,
    ACCESS_PUBLIC, /* no key needed: tells nothing but that there is a server */
};

struct route {
    const char *method, *pattern;
    enum route_body body;
    enum route_run run;
    enum err_code (*handler)(struct request *r, struct err *e);
    const char *summary;
    enum route_access access;
};

enum { ROUTE_PARAMS = 4, ROUTE_PATH = 1024 };

struct route_match {
    const struct route *route;
    int count;
    const char *names[ROUTE_PARAMS];  /* "{name}", borrowed from the pattern */
    const char *values[ROUTE_PARAMS]; /* borrowed from path */
    char allow[64];                   /* after ERR_METHOD_NOT_ALLOWED: the methods that there are */
    char path[ROUTE_PATH];
};

/* tables: NULL-ended list of tables that each end with an empty row. ret->path and its values live
 * as long as *ret does. ERR_ROUTE_UNKNOWN, ERR_METHOD_NOT_ALLOWED (ret->allow is filled). */
enum err_code router_find(const struct route *const *tables, const char *method, const char *path,
                          struct route_match *ret, struct err *e) MUST_USE;

/* The routes there are. */
const struct route *const *routes(void);

#endif
