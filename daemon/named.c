#include "daemon/named.h"

/* A follower (daemon/replica.h) has artifacts, and no reports. */
enum err_code named_digests(struct db_tx *t, struct db_rows **ret, struct err *e)
{
    return db_query(t, ret, e,
                    "SELECT digest FROM picture WHERE purged_ms IS NULL"
                    " UNION SELECT digest FROM dataset_version WHERE purged_ms IS NULL"
                    " UNION SELECT digest FROM backbone"
                    " UNION SELECT artifact FROM version WHERE purged_ms IS NULL"
                    " UNION SELECT report FROM version WHERE purged_ms IS NULL"
                    " AND NOT EXISTS (SELECT 1 FROM replica) ORDER BY 1");
}

enum err_code named_subjects(struct db_tx *t, struct db_rows **ret, struct err *e)
{
    return db_query(
        t, ret, e,
        "SELECT digest, 'picture/' || lower(hex(digest)) FROM picture WHERE purged_ms IS NULL"
        " UNION ALL SELECT v.digest, 'dataset/' || d.name || '/versions/' || v.number"
        "   FROM dataset_version v JOIN dataset d ON d.id = v.dataset WHERE v.purged_ms IS NULL"
        " UNION ALL SELECT digest, 'backbone/' || name FROM backbone"
        " UNION ALL SELECT v.artifact, 'model/' || m.name || '/versions/' || v.number"
        "   FROM version v JOIN model m ON m.id = v.model WHERE v.purged_ms IS NULL"
        " UNION ALL SELECT v.report, 'model/' || m.name || '/versions/' || v.number || ' (report)'"
        "   FROM version v JOIN model m ON m.id = v.model WHERE v.purged_ms IS NULL"
        "   AND NOT EXISTS (SELECT 1 FROM replica)");
}
