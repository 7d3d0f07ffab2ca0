/* Is it alive, is it ready, what can it do. Answered on the HTTP thread. */
#include "api/openapi.h"
#include "api/request.h"
#include "api/routes.h"
#include "daemon/serve.h"
#include "data/base/json.h"

static enum err_code healthy(struct request *r, struct err *e)
{
    (void)e;
    reply_fixed(&r->reply, 200, "text/plain", "Healthy", 7);
    return ERR_OK;
}

static enum err_code livez(struct request *r, struct err *e)
{
    (void)e;
    reply_fixed(&r->reply, 200, "text/plain", "ok", 2);
    return ERR_OK;
}

static json_t *default_model(struct serve *serve)
{
    char name[SERVE_NAME];
    return serve_default_name(serve, name) ? json_string(name) : json_null();
}

/* Not ready is no fault of anybody's: it is told in the same form, with 503. */
static enum err_code readyz(struct request *r, struct err *e)
{
    struct serve *serve = r->server->parts.serve;
    bool ready = core_ready(r->server);
    json_t *o = json_pack("{s:b, s:o}", "ready", ready, "default_model", default_model(serve));
    if (!o)
        return err_set(e, ERR_NOMEM, "no memory");
    enum err_code code = reply_json(&r->reply, ready ? 200 : 503, o, e);
    json_decref(o);
    if (!code && !ready)
        reply_header(&r->reply, "Retry-After", "1");
    return code;
}

static enum err_code openapi(struct request *r, struct err *e)
{
    (void)e;
    reply_fixed(&r->reply, 200, "application/json", openapi_json,
                (size_t)(openapi_json_end - openapi_json));
    return ERR_OK;
}

static enum err_code swagger(struct request *r, struct err *e)
{
    (void)e;
    reply_fixed(&r->reply, 200, "application/json", swagger_json,
                (size_t)(swagger_json_end - swagger_json));
    return ERR_OK;
}

/* The page asks nobody but this server, and runs and shows nothing that is not in its three files.
 */
static enum err_code page(struct request *r, const char *type, const char *text, const char *end)
{
    reply_fixed(&r->reply, 200, type, text, (size_t)(end - text));
    reply_header(&r->reply, "Content-Security-Policy",
                 "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    return ERR_OK;
}

static enum err_code docs(struct request *r, struct err *e)
{
    (void)e;
    return page(r, "text/html", docs_html, docs_html_end);
}

static enum err_code docs_style(struct request *r, struct err *e)
{
    (void)e;
    return page(r, "text/css", docs_css, docs_css_end);
}

static enum err_code docs_script(struct request *r, struct err *e)
{
    (void)e;
    return page(r, "text/javascript", docs_js, docs_js_end);
}

const struct route routes_system[] = {
    { "GET", "/", BODY_NONE, RUN_INLINE, healthy, "Healthy", ACCESS_PUBLIC },
    { "GET", "/livez", BODY_NONE, RUN_INLINE, livez, "Is the process alive", ACCESS_PUBLIC },
    { "GET", "/readyz", BODY_NONE, RUN_INLINE, readyz,
      "Is every production version loaded and warm", ACCESS_PUBLIC },
    { "GET", "/openapi.json", BODY_NONE, RUN_INLINE, openapi, "This description, OpenAPI 3.1",
      ACCESS_PUBLIC },
    { "GET", "/swagger.json", BODY_NONE, RUN_INLINE, swagger, "The scoring routes, Swagger 2.0",
      ACCESS_PUBLIC },
    { "GET", "/docs", BODY_NONE, RUN_INLINE, docs, "This description, to read and to try",
      ACCESS_PUBLIC },
    { "GET", "/docs/docs.css", BODY_NONE, RUN_INLINE, docs_style, "How that page looks",
      ACCESS_PUBLIC },
    { "GET", "/docs/docs.js", BODY_NONE, RUN_INLINE, docs_script, "What that page does",
      ACCESS_PUBLIC },
    { 0 },
};
