/* backbones.h -- pretrained networks, by name.
 * Threads: any. */
#ifndef KENNEL_BACKBONES_H
#define KENNEL_BACKBONES_H

#include "daemon/state.h"
#include "nn/backbone.h"

#include <jansson.h>

/* Reads the ONNX file from `read` to its end (limits.max_backbone_bytes), proves that it compiles
 * and runs, and stores it; on any refusal nothing is stored. Reply and _show:
 * {"name", "digest", "bytes", "feature_tensor", "feature_width", "input": {"name", "height",
 * "width", "channels": 3}, "preprocess": {"resize", "size", "mean", "std", "color_order"},
 * "parameters", "created"}. ERR_NAME_TAKEN, ERR_ONNX_*. */
enum err_code backbones_add(struct state *s, const char *name, archive_read_fn read,
                            void *read_context, const struct backbone_overrides *overrides,
                            const char *who, json_t **ret, struct err *e) MUST_USE;
enum err_code backbones_list(struct state *s, json_t **ret, struct err *e) MUST_USE;
enum err_code backbones_show(struct state *s, const char *name, json_t **ret, struct err *e)
    MUST_USE;

#endif
