/* oip_model.h -- what the Open Inference Protocol v2 says of a model: metadata and configuration.
 * Threads: any; pure functions. */
#ifndef KENNEL_OIP_MODEL_H
#define KENNEL_OIP_MODEL_H

#include "daemon/serve.h"

#include <jansson.h>

/* versions: strings; taken. Both: new references, NULL without memory. */
json_t *oip_model_metadata(const struct serve_ref *ref, json_t *versions);
json_t *oip_model_config(const struct serve_ref *ref);

#endif
