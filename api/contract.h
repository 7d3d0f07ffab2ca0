/* contract.h -- what a request must be like, as the description of the API says.
 *
 * The document that is served as /openapi.json is read once, when the server starts: each route's
 * query parameters, headers and JSON body are checked against it, so what it says is what holds. A
 * route that it does not describe, or describes with keywords that are not checked, keeps the
 * server from starting.
 * Threads: contract_new() and contract_free() alone; checks on any thread. */
#ifndef KENNEL_CONTRACT_H
#define KENNEL_CONTRACT_H

#include "api/router.h"
#include "data/base/json.h"

struct contract;
struct request_pair;

/* text: OpenAPI 3.1. routes: borrowed, as of router_find(). ERR_INTERNAL names what does not fit.
 */
enum err_code contract_new(const char *text, size_t len, const struct route *const *routes,
                           struct contract **ret, struct err *e) MUST_USE;
void contract_free(struct contract *c);

/* Names that the operation does not have are refused (unless "x-kennel-any-query" says that it
 * does not care), and what is missing. ERR_FIELD_UNKNOWN, ERR_FIELD_MISSING, ERR_FIELD_RANGE. */
enum err_code contract_check_query(const struct contract *c, const struct route *route,
                                   const struct request_pair *query, int count, struct err *e)
    MUST_USE;

/* get returns a header's value or NULL. ERR_FIELD_MISSING, ERR_FIELD_RANGE. */
enum err_code contract_check_headers(const struct contract *c, const struct route *route,
                                     const char *(*get)(void *context, const char *name),
                                     void *context, struct err *e) MUST_USE;

/* The errors of schemas_check(). */
enum err_code contract_check_body(const struct contract *c, const struct route *route,
                                  const json_t *body, struct err *e) MUST_USE;

/* Is the JSON body required? False for a route without one. */
bool contract_needs_body(const struct contract *c, const struct route *route);

#endif
