/* replica.h -- a follower's rows: copies of those of its trainer's that name what is served.
 *
 * The catalogue is one document: {"format": 1, TABLE: [row...]...} of the tables model, version,
 * alias, rollout and api_key; a row is {column: value} with digests in hexadecimal. In it are the
 * versions that an alias or an open rollout names, with their models; open rollouts; every key of
 * the database (its digest, never its text). Its tag is the SHA-256 of its text, so whoever has the
 * tag has what is served. Columns that one side does not know are passed over, so trainer and
 * follower may be of different versions.
 * On the follower the catalogue takes the place of all of those rows in one transaction, so that
 * whatever reads them (daemon/serve.h, daemon/keys.h) need not know of it. What they refer to
 * (jobs, datasets) is not there.
 * Threads: any; _look(), _begin() one, before others use the database. */
#ifndef KENNEL_REPLICA_H
#define KENNEL_REPLICA_H

#include "daemon/db.h"
#include "data/base/buf.h"

struct state;

/* ret_used: something was ever done in it that is not a follower's. */
enum err_code replica_look(struct db *db, bool *ret_replica, bool *ret_used, struct err *e)
    MUST_USE;
/* Makes it a follower's, if it is not one yet. */
enum err_code replica_begin(struct db *db, struct err *e) MUST_USE;

/* The trainer's: compact JSON with sorted keys, and its tag. */
enum err_code replica_catalog(struct state *s, struct buf *ret, char ret_tag[DIGEST_HEX + 1],
                              struct err *e) MUST_USE;

/* Refuses what is no catalogue of a known format. The caller owns *ret. */
enum err_code replica_parse(const char *text, size_t len, json_t **ret, struct err *e) MUST_USE;

/* What was written last: *ret NULL when there is none, ret_tag "" when it is not the trainer's
 * whole. */
enum err_code replica_load(struct state *s, json_t **ret, char ret_tag[DIGEST_HEX + 1],
                           int64_t *ret_synced_ms, struct err *e) MUST_USE;
/* Adds models and versions to what there is, so that they can be loaded before they are shown. */
enum err_code replica_add(struct state *s, const json_t *catalog, struct err *e) MUST_USE;
/* Puts it in the place of all there is. tag NULL: it is not the trainer's whole. */
enum err_code replica_replace(struct state *s, const json_t *catalog, const char *tag,
                              struct err *e) MUST_USE;

/* A version that a catalogue names. */
struct replica_version {
    int64_t model_id, version, bytes;
    const char *model; /* borrowed from the catalogue */
    struct digest artifact;
};
/* row: one of the catalogue's member "version". ERR_JSON_TYPE. */
enum err_code replica_version(const json_t *catalog, const json_t *row, struct replica_version *ret,
                              struct err *e) MUST_USE;
/* Of a model of this catalogue; 0: none. */
int64_t replica_production(const json_t *catalog, int64_t model_id);
/* The row of the model with that id, or NULL. */
const json_t *replica_model(const json_t *catalog, int64_t model_id);
const json_t *replica_find_version(const json_t *catalog, int64_t model_id, int64_t version);
/* Puts what `from` (or NULL: nothing) says of the model in the place of what the catalogue says. */
enum err_code replica_keep(json_t *catalog, const json_t *from, int64_t model_id, struct err *e)
    MUST_USE;

#endif
