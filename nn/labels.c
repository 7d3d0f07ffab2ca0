#include "nn/labels.h"

#include "data/base/cleanup.h"
#include "data/base/json.h"

#include <string.h>

void labels_fini(struct labels *l)
{
    for (int i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
    *l = (struct labels){ 0 };
}

enum err_code labels_parse(const char *text, struct labels *ret, struct err *e)
{
    CLEANUP(labels_fini) struct labels l = { 0 };
    CLEANUP(json_decref_p) json_t *array = NULL;
    if (!text)
        return err_set(e, ERR_ONNX_GRAPH, "no labels in the metadata: not a model version");
    enum err_code r = json_read(text, strlen(text), &array, e);
    if (r == ERR_NOMEM)
        return r;
    size_t count = r ? 0 : json_array_size(array);
    if (count == 0 || count > INT32_MAX)
        return err_set(e, ERR_ONNX_GRAPH, "labels in the metadata: not a JSON array of names");
    l.names = calloc(count, sizeof *l.names);
    if (!l.names)
        return err_set(e, ERR_NOMEM, "no memory for %zu labels", count);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(array, i));
        if (!name)
            return err_set(e, ERR_ONNX_GRAPH, "labels in the metadata: item %zu is not text", i);
        l.names[i] = strdup(name);
        if (!l.names[i])
            return err_set(e, ERR_NOMEM, "no memory for %zu labels", count);
        l.count++;
    }
    *ret = l;
    l = (struct labels){ 0 };
    return ERR_OK;
}

enum err_code labels_write(const char *const *names, int count, struct buf *ret, struct err *e)
{
    CLEANUP(json_decref_p) json_t *array = json_array();
    if (!array)
        return err_set(e, ERR_NOMEM, "no memory for %d labels", count);
    for (int i = 0; i < count; i++)
        if (json_array_append_new(array, json_string(names[i])) < 0)
            return err_set(e, ERR_NOMEM, "no memory for %d labels, or \"%.100s\" is not UTF-8",
                           count, names[i]);
    return json_write(array, ret, e);
}
