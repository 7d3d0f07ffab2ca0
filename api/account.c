#include "api/account.h"

#include "api/http_meters.h"
#include "api/request.h"
#include "data/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* nginx's number for it, which dashboards know. */
enum { STATUS_CLIENT_GONE = 499 };

static void count(const struct request *r, int status, int64_t now_us)
{
    struct meters *m = r->server->meters;
    const struct route *route = r->match.route;
    char code[16], version[24] = "";
    snprintf(code, sizeof code, "%d", status);
    if (r->scored.version)
        snprintf(version, sizeof version, "%" PRId64, r->scored.version);
    /* A method that no route has may be any text. */
    const char *const values[] = { route ? r->method : "other", route ? route->pattern : "none",
                                   code, r->scored.model, version };
    meter_add(m, HTTP_REQUESTS, values, 1);
    meter_observe(m, HTTP_SECONDS, &values[1], (uint64_t)(now_us - r->begun_us));
    meter_add(m, HTTP_REQUEST_BYTES, NULL, r->received);
    meter_add(m, HTTP_REPLY_BYTES, NULL, r->reply_bytes);
}

void account_request(struct request *r, bool reached)
{
    int status = reached ? r->reply.status : STATUS_CLIENT_GONE;
    count(r, status, clock_monotonic_us());
}
