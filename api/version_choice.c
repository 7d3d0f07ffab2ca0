#include "api/version_choice.h"

#include "daemon/keys.h"
#include "daemon/models.h"
#include "daemon/predictions.h"
#include "daemon/traffic.h"
#include "data/base/cleanup.h"
#include "data/base/name.h"

#include <inttypes.h>
#include <string.h>

enum { VERSION_DIGITS = 15 };

CLEANUP_DEFINE(struct serve_ref, serve_release);

/* NULL: none. */
static const char *forced(const struct request *r)
{
    return r->wanted_version[0] ? r->wanted_version : request_query(r, "alias");
}

static bool is_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits && digits <= VERSION_DIGITS && !text[digits];
}

static enum err_code check(const struct request *r, struct err *e)
{
    const char *alias = request_query(r, "alias");
    if (alias && r->wanted_version[0] && strcmp(alias, r->wanted_version) != 0)
        return err_set(e, ERR_FIELD_RANGE,
                       "X-Kennel-Version says \"%.80s\", the query \"%.80s\": say one of them",
                       r->wanted_version, alias);
    return is_number(forced(r)) ? ERR_OK : name_check(forced(r), "version or alias", e);
}

static enum err_code borrow_forced(struct request *r, const char *model, struct serve_ref **ret,
                                   struct err *e)
{
    struct serve *serve = r->server->parts.serve;
    CLEANUP(serve_release_p) struct serve_ref *production = NULL;
    int64_t version = 0;
    enum err_code code = check(r, e);
    if (!code && !model) {
        code = serve_borrow(serve, NULL, 0, &production, e);
        model = code ? NULL : serve_ref_model(production);
    }
    if (code)
        return code;
    if (!is_number(forced(r)))
        code = models_alias(r->server->parts.state, model, forced(r), &version, e);
    else if ((version = strtoll(forced(r), NULL, 10)) == 0)
        code = err_set(e, ERR_VERSION_UNKNOWN, "versions are counted from 1");
    return code ? code : serve_borrow(serve, model, version, ret, e);
}

static enum err_code borrow(struct request *r, const char *model, int64_t version,
                            struct serve_ref **ret, struct err *e)
{
    struct serve *serve = r->server->parts.serve;
    bool is_forced = !version && forced(r);
    if (r->on_http_thread)
        return is_forced ? ERR_OK : serve_borrow_loaded(serve, model, version, ret, e);
    return is_forced ? borrow_forced(r, model, ret, e)
                     : serve_borrow(serve, model, version, ret, e);
}

/* NULL: nobody in particular. */
static const char *client(const struct request *r)
{
    if (r->client[0])
        return r->client;
    return keys_required(r->server->parts.keys) ? r->who : NULL;
}

enum err_code version_choice_borrow(struct request *r, const char *model, int64_t version,
                                    struct serve_ref **ret, struct err *e)
{
    struct serve_ref *ref = NULL;
    enum err_code code = borrow(r, model, version, &ref, e);
    if (code)
        return code;
    if (!ref) {
        request_to_task(r);
        return ERR_OK;
    }
    r->is_routed = !version && !forced(r);
    if (r->is_routed)
        ref = traffic_route(r->server->parts.traffic, ref, client(r));
    request_chosen(r, ref);
    *ret = ref;
    return ERR_OK;
}

enum err_code version_choice_name(struct request *r, struct err *e)
{
    return ident_random(r->prediction_id, e);
}

void version_choice_answered(const struct request *r, const struct score_result *result,
                             const struct version_choice_picture *picture)
{
    char id[PREDICTION_ID + 1];
    snprintf(id, sizeof id, picture->place ? "%s-%d" : "%s", r->prediction_id, picture->place);
    const struct traffic_answer a = { .id = id,
                                      .result = result,
                                      .input = picture->input,
                                      .bytes = picture->bytes,
                                      .len = picture->len };
    if (!result->code)
        predictions_add(r->server->parts.predictions, id, result->model, result->version,
                        result->predictions[0].label, result->predictions[0].probability);
    /* Who asks for a version by its name chose it: that is no sample of the traffic. */
    if (r->is_routed)
        traffic_answered(r->server->parts.traffic, &a);
}

void version_choice_tell(struct request *r, int64_t version)
{
    reply_header(&r->reply, "X-Kennel-Version", "%" PRId64, version);
    reply_header(&r->reply, "X-Kennel-Prediction-Id", "%s", r->prediction_id);
}
