#include "daemon/record.h"

#include "data/base/json.h"

#include <stdio.h>

enum err_code record_show(struct state *s, record_find find, const char *name, json_t **ret,
                          struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    enum err_code r = db_read(state_db(s), &t, e);
    return r ? r : find(t, name, ret, e);
}

enum err_code record_remove(struct state *s, const struct record_removal *how, const char *name,
                            const char *who, struct err *e)
{
    CLEANUP(db_end_p) struct db_tx *t = NULL;
    CLEANUP(json_decref_p) json_t *before = NULL;
    char subject[100];
    snprintf(subject, sizeof subject, "%s%.64s", how->subject, name);
    enum err_code r = db_write(state_db(s), &t, e);
    if (!r)
        r = how->find(t, name, &before, e);
    if (!r)
        r = db_exec(t, e, how->sql, DB_TEXT(name));
    if (!r)
        r = db_audit(t, who, how->what, subject, before, NULL, e);
    return r ? r : db_commit(&t, e);
}
