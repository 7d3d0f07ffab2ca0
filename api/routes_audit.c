/* The log of every change. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/audit.h"

enum { AUDIT_LIMIT = 100 };

static enum err_code list(struct request *r, struct err *e)
{
    struct audit_query q = { .subject = request_query(r, "subject"),
                             .who = request_query(r, "who"),
                             .what = request_query(r, "what"),
                             .limit = AUDIT_LIMIT };
    request_query_int(r, "limit", &q.limit);
    request_query_int(r, "before", &q.before);
    json_t *lines;
    enum err_code code = audit_list(r->server->parts.state, &q, &lines, e);
    return code ? code : reply_list(&r->reply, "audit", lines, e);
}

const struct route routes_audit[] = {
    { "GET", "/api/v1/audit", BODY_NONE, RUN_TASK, list, "List changes, newest first",
      ACCESS_ADMIN },
    { 0 },
};
