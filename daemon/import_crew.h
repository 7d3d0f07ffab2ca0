/* import_crew.h -- the threads that prove and store the pictures of an import, and the bounded
 * number of files that are on their way through them.
 *
 *   caller: import_crew_take() -> fill the item -> import_crew_submit()
 *   crew:   decode the picture, put the blob, write the outcome into the item
 *   caller: told of the outcome from inside its next import_crew_take() or _finish()
 *
 * Memory: at most CREW_BYTES of files at once (or one file that is larger), whatever the upload's
 * size.
 * Threads: one caller; outcomes are told on the caller's thread, in any order. */
#ifndef KENNEL_IMPORT_CREW_H
#define KENNEL_IMPORT_CREW_H

#include "daemon/members.h"

struct import_crew;

struct import_item {
    int64_t sequence; /* place in the upload */
    char *path;       /* owned */
    struct layout layout;
    uint8_t *bytes; /* owned; len of the file, filled by the caller */
    size_t len, cap;
    enum err_code code; /* outcome: ERR_OK and picture, or err */
    struct err err;
    struct members_picture picture;
    struct import_item *next; /* guarded by the crew's mu */
};

/* Borrows the item. An error stops the call that told it. */
typedef enum err_code (*import_outcome)(void *context, const struct import_item *item,
                                        struct err *e);

enum err_code import_crew_new(struct state *s, int threads, import_outcome outcome, void *context,
                              struct import_crew **ret, struct err *e) MUST_USE;
/* Drops what is on its way and joins the threads. NULL is fine. */
void import_crew_free(struct import_crew *c);

/* Waits for an item with room for len bytes; path is copied. To be given on with _submit(). */
enum err_code import_crew_take(struct import_crew *c, const char *path, size_t len,
                               struct import_item **ret, struct err *e) MUST_USE;
void import_crew_submit(struct import_crew *c, struct import_item *item);
/* Every outcome has been told when this returns ERR_OK. */
enum err_code import_crew_finish(struct import_crew *c, struct err *e) MUST_USE;

#endif
