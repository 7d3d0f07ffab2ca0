#include "daemon/named.h"

enum err_code named_digests(struct db_tx *t, struct db_rows **ret, struct err *e)
{
    return db_query(t, ret, e,
                    "SELECT digest FROM picture"
                    " UNION SELECT digest FROM dataset_version"
                    " UNION SELECT digest FROM backbone"
                    " UNION SELECT artifact FROM version"
                    " UNION SELECT report FROM version ORDER BY 1");
}

enum err_code named_subjects(struct db_tx *t, struct db_rows **ret, struct err *e)
{
    return db_query(
        t, ret, e,
        "SELECT digest, 'picture/' || lower(hex(digest)) FROM picture"
        " UNION ALL SELECT v.digest, 'dataset/' || d.name || '/versions/' || v.number"
        "   FROM dataset_version v JOIN dataset d ON d.id = v.dataset"
        " UNION ALL SELECT digest, 'backbone/' || name FROM backbone"
        " UNION ALL SELECT v.artifact, 'model/' || m.name || '/versions/' || v.number"
        "   FROM version v JOIN model m ON m.id = v.model"
        " UNION ALL SELECT v.report, 'model/' || m.name || '/versions/' || v.number || ' (report)'"
        "   FROM version v JOIN model m ON m.id = v.model");
}
