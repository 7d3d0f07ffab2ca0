/* record.h -- what is shown and removed by its name, each in a transaction of its own.
 * Threads: any. */
#ifndef KENNEL_RECORD_H
#define KENNEL_RECORD_H

#include "daemon/db.h"
#include "daemon/state.h"

/* One of them as it is shown, or the error that there is none. The caller owns *ret. */
typedef enum err_code (*record_find)(struct db_tx *t, const char *name, json_t **ret,
                                     struct err *e);

enum err_code record_show(struct state *s, record_find find, const char *name, json_t **ret,
                          struct err *e) MUST_USE;

struct record_removal {
    record_find find;
    const char *sql;     /* DELETE with the name as its one value */
    const char *what;    /* of the audit line: "webhook.delete" */
    const char *subject; /* and its words before the name: "webhook/" */
};

/* What it was is in the audit line. */
enum err_code record_remove(struct state *s, const struct record_removal *how, const char *name,
                            const char *who, struct err *e) MUST_USE;

#endif
