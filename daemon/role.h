/* role.h -- what a caller may do. Each role may do what those before it may.
 *
 *   score    score pictures, tell true labels, read what scoring clients need
 *   train    read the registry; change data sets, backbones and models; start and cancel jobs
 *   promote  move aliases and traffic
 *   admin    keys, webhooks, the audit log, maintenance
 *
 * Threads: any; constants. */
#ifndef KENNEL_ROLE_H
#define KENNEL_ROLE_H

#include <stdbool.h>

enum role { ROLE_SCORE, ROLE_TRAIN, ROLE_PROMOTE, ROLE_ADMIN, ROLES };

const char *role_text(enum role r);
bool role_parse(const char *text, enum role *ret);

#endif
