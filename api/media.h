/* media.h -- which content types a route takes.
 *
 * What people send with curl has the type of an HTML form, so only a type that clearly says
 * something else is refused. Threads: any; pure functions. */
#ifndef KENNEL_MEDIA_H
#define KENNEL_MEDIA_H

#include "api/router.h"

/* type: lower case, without parameters, "" when there was none. ERR_MEDIA_TYPE. */
enum err_code media_check(enum route_body body, const char *type, struct err *e) MUST_USE;
bool media_is_json(const char *type);

#endif
