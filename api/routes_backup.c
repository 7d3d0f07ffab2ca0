/* Everything that is kept, as one stream. */
#include "api/download.h"
#include "api/request.h"
#include "api/routes.h"
#include "daemon/backup.h"
#include "data/base/clock.h"
#include "data/base/log.h"

/* At once. A reader may take its time, and each of them has a task thread, a copy of the database
 * on the disk, and keeps the sweep from its work. */
enum { BACKUPS_MAX = 2 };

CLEANUP_DEFINE(struct backup, backup_end);

/* The reply is on its way: what goes wrong now is told by a connection that ends too early, and by
 * the log. Nothing is left of the backup once the client has all of it. */
static void send_all(struct request *r, struct backup *b, struct download *d)
{
    struct err e;
    enum err_code code = backup_write(b, download_write, d, &e);
    backup_end(b);
    download_end(d, !code);
    if (code)
        log_event(err_is_fault(code) ? "error" : "warning", "backup_broken_off", "request_id",
                  r->id, "code", err_slug(code), "message", e.message, NULL);
}

static enum err_code take(struct request *r, struct err *e)
{
    CLEANUP(backup_end_p) struct backup *b = NULL;
    struct download *d = NULL;
    enum err_code code = backup_begin(r->server->parts.state, r->who, &b, e);
    if (!code)
        code = download_new(r->server, backup_bytes(b), &d, &r->reply.source, e);
    if (code)
        return code;
    char now[CLOCK_TEXT];
    clock_text(clock_utc_ms(), now);
    r->reply.status = 200;
    r->reply.type = "application/x-tar";
    reply_header(&r->reply, "Content-Disposition", "attachment; filename=\"kennel-%.10s.tar\"",
                 now);
    r->deferred = true;
    request_finish(r);
    send_all(r, STEAL(b), d);
    return ERR_OK;
}

static enum err_code take_one_of_few(struct request *r, struct err *e)
{
    atomic_int *backups = &r->server->backups;
    enum err_code code =
        atomic_fetch_add(backups, 1) < BACKUPS_MAX
            ? take(r, e)
            : err_set(e, ERR_BUSY, "%d backups are sent already, which is the limit", BACKUPS_MAX);
    atomic_fetch_sub(backups, 1);
    return code;
}

const struct route routes_backup[] = {
    { "GET", "/api/v1/backup", BODY_NONE, RUN_UPLOAD, take_one_of_few,
      "Everything that is kept, as a tar archive", ACCESS_ADMIN },
    { 0 },
};
