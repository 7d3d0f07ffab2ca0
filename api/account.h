/* account.h -- what became of a request, told once, when its reply has gone out or its client.
 * Threads: an HTTP thread; never waits. */
#ifndef KENNEL_ACCOUNT_H
#define KENNEL_ACCOUNT_H

#include <stdbool.h>

struct request;

/* The last thing done with a request. reached: its reply went out. */
void account_request(struct request *r, bool reached);

#endif
