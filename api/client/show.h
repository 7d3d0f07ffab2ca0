/* show.h -- replies for people, or unchanged with --json. */
#ifndef KENNEL_CLIENT_SHOW_H
#define KENNEL_CLIENT_SHOW_H

#include "api/client/http.h"

/* GET a path (already formatted, without %) and list `member`'s objects as a table: columns are
 * names of their members, ended by NULL. */
enum outcome show_list(struct client *c, const char *path, const char *member, ...)
    __attribute__((sentinel));
/* The table of a reply that is there. */
void show_table(const json_t *list, const char *const *columns);
/* Ends a call that brought one object: prints it either way, frees the reply, hands the outcome on.
 */
enum outcome show_object(struct client *c, enum outcome outcome, struct http_reply *reply);
/* With --json prints the body, refusals as well; true when there is nothing more to print. */
bool show_json(const struct client *c, enum outcome outcome, const struct http_reply *reply);

#endif
