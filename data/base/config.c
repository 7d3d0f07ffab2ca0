#include "data/base/config.h"

#include "data/base/file.h"

#include <string.h>

enum { CONFIG_BYTES_MAX = 1 << 20 };

static char *trim(char *text)
{
    static const char blanks[] = " \t\r";
    text += strspn(text, blanks);
    size_t len = strlen(text);
    while (len && strchr(blanks, text[len - 1]))
        text[--len] = 0;
    return text;
}

static enum err_code take_line(char *line, config_take take, void *context, struct err *e)
{
    line = trim(line);
    if (!line[0] || line[0] == '#')
        return ERR_OK;
    char *value = strchr(line, '=');
    if (!value)
        return err_set(e, ERR_FIELD_RANGE, "expected NAME = VALUE");
    *value++ = 0;
    return take(context, trim(line), trim(value), e);
}

enum err_code config_read(const char *path, config_take take, void *context, struct buf *ret_text,
                          struct err *e)
{
    struct err why = { 0 };
    buf_init(ret_text, CONFIG_BYTES_MAX);
    enum err_code code = file_read(path, ret_text, e);
    if (code)
        return code;
    int number = 0;
    for (char *line = (char *)ret_text->data, *next; line; line = next) {
        number++;
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        code = take_line(line, take, context, &why);
        if (code)
            return err_set(e, code, "%s, line %d: %s", path, number, why.message);
    }
    return ERR_OK;
}
