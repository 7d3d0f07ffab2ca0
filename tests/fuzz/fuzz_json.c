/* Any bytes as JSON, taken by a table of fields, and written again: what is written reads back to
 * the same text. */
#include "data/base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_members(const json_t *value)
{
    const char *text = NULL;
    int64_t count = 0;
    double rate = 0;
    bool flag = false;
    json_t *object = NULL, *array = NULL;
    const struct json_field fields[] = {
        { "name", JSON_KIND_STRING, true, &text, 1, 64 },
        { "count", JSON_KIND_INT, false, &count, -5, 1000 },
        { "rate", JSON_KIND_REAL, false, &rate, 0, 1 },
        { "flag", JSON_KIND_BOOL, false, &flag, 0, 0 },
        { "object", JSON_KIND_OBJECT, false, &object, 0, 0 },
        { "array", JSON_KIND_ARRAY, false, &array, 0, 0 },
    };
    struct err e = { 0 };
    if (json_take(value, "the input", fields, sizeof fields / sizeof *fields, &e) == ERR_OK) {
        if (!text || strlen(text) < 1 || strlen(text) > 64 || count < -5 || count > 1000)
            abort();
        if (!(rate >= 0 && rate <= 1))
            abort();
    } else if (text || object || array || !e.message[0]) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    json_t *value, *again;
    if (json_read((const char *)data, size, &value, &e) != ERR_OK)
        return 0;
    take_members(value);

    struct buf first, second;
    buf_init(&first, 1 << 24);
    buf_init(&second, 1 << 24);
    if (json_write(value, &first, &e) == ERR_OK) {
        if (json_read((char *)first.data, first.len, &again, &e) != ERR_OK ||
            json_write(again, &second, &e) != ERR_OK || first.len != second.len ||
            memcmp(first.data, second.data, first.len) != 0)
            abort();
        json_decref(again);
    }
    buf_fini(&first);
    buf_fini(&second);
    json_decref(value);
    return 0;
}
