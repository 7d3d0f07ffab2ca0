/* What came from what. */
#include "api/request.h"
#include "api/routes.h"
#include "daemon/lineage.h"
#include "daemon/predictions.h"

#include <string.h>

enum { LINEAGE_LIMIT = 100 };

static enum err_code show(struct request *r, struct err *e)
{
    int64_t limit = LINEAGE_LIMIT;
    request_query_int(r, "limit", &limit);
    json_t *value;
    const char *of = request_query(r, "of");
    enum err_code code = ERR_OK;
    /* Who has an answer asks with its id; the answer may still wait to be written. */
    if (strncmp(of, "prediction/", 11) == 0)
        code = predictions_write(r->server->parts.predictions, e);
    if (!code)
        code = lineage_show(r->server->parts.state, of, limit, &value, e);
    return code ? code : reply_json_take(&r->reply, 200, value, e);
}

const struct route routes_lineage[] = {
    { "GET", "/api/v1/lineage", BODY_NONE, RUN_TASK, show,
      "What a thing came from and what came from it", ACCESS_TRAIN },
    { 0 },
};
