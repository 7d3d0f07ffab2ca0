#include "api/authorise.h"

#include "daemon/keys.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static enum role needed(enum route_access access)
{
    switch (access) {
    case ACCESS_PUBLIC:
    case ACCESS_SCORE:
        return ROLE_SCORE;
    case ACCESS_TRAIN:
        return ROLE_TRAIN;
    case ACCESS_PROMOTE:
        return ROLE_PROMOTE;
    case ACCESS_ADMIN:
        return ROLE_ADMIN;
    }
    return ROLE_ADMIN;
}

/* NULL when there is none. */
static const char *bearer(struct MHD_Connection *c)
{
    static const char scheme[] = "Bearer ";
    const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
    if (!value || strncasecmp(value, scheme, sizeof scheme - 1) != 0)
        return NULL;
    value += sizeof scheme - 1;
    return value + strspn(value, " ");
}

/* A name that nobody elsewhere can have: of this machine, or a number. */
static bool is_own_name(const char *host)
{
    static const char own[] = "localhost";
    size_t len = strcspn(host, ":");
    bool tail = len >= sizeof own - 1 &&
                strncasecmp(host + len - (sizeof own - 1), own, sizeof own - 1) == 0;
    return host[0] == '[' || strspn(host, "0123456789.") == len ||
           (tail && (len == sizeof own - 1 || host[len - sizeof own] == '.'));
}

/* Where everybody is an admin, every page that a browser on this machine shows could ask for
 * changes, for forms need nobody's leave. Browsers say whose page it is. A name that leads here
 * from elsewhere (which a page can arrange for its own) is the page's and not ours. */
static enum err_code check_origin(struct request *r, struct err *e)
{
    const char *origin =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    const char *host =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char *from = origin ? strstr(origin, "://") : NULL;
    if (!origin || (from && host && strcasecmp(from + 3, host) == 0 &&
                    (!r->server->is_loopback || is_own_name(host))))
        return ERR_OK;
    return err_set(e, ERR_ORIGIN,
                   "a page of %.100s asks for this, and without keys only this server's own may: "
                   "make a key first",
                   origin);
}

enum err_code authorise(struct request *r, struct err *e)
{
    enum route_access access = r->match.route->access;
    struct keys *keys = r->server->parts.keys;
    if (access == ACCESS_PUBLIC)
        return ERR_OK;
    if (access != ACCESS_SCORE && strcmp(r->match.route->method, "GET") != 0 &&
        !keys_required(keys)) {
        enum err_code code = check_origin(r, e);
        if (code)
            return code;
    }
    struct key_holder holder;
    enum err_code code =
        keys_check(keys, bearer(r->connection), needed(access), &holder, &r->retry_after, e);
    if (code)
        return code;
    r->role = holder.role;
    /* Without keys callers may say who they are; with them they are known. */
    if (keys_required(keys))
        snprintf(r->who, sizeof r->who, "%s", holder.name);
    return ERR_OK;
}
