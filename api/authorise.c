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

enum err_code authorise(struct request *r, struct err *e)
{
    enum route_access access = r->match.route->access;
    struct keys *keys = r->server->parts.keys;
    if (access == ACCESS_PUBLIC)
        return ERR_OK;
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
