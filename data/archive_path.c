#include "data/archive_path.h"

#include "data/base/utf8.h"

#include <ctype.h>
#include <string.h>

static bool is_absolute(const char *name)
{
    return name[0] == '/' || name[0] == '\\' ||
           (isalpha((unsigned char)name[0]) && name[1] == ':' &&
            (name[2] == '/' || name[2] == '\\'));
}

static bool has_dot_dot(const char *name)
{
    for (const char *at = name; *at;) {
        size_t len = strcspn(at, "/\\");
        if (len == 2 && at[0] == '.' && at[1] == '.')
            return true;
        at += len + (at[len] != 0);
    }
    return false;
}

static enum err_code append_utf8(const char *part, size_t len, struct buf *ret, struct err *e)
{
    for (size_t i = 0; i < len;) {
        uint32_t point;
        size_t n = utf8_next(part + i, len - i, &point);
        enum err_code r =
            n ? buf_append(ret, part + i, n, e) : buf_append(ret, "\xef\xbf\xbd", 3, e);
        if (r)
            return r;
        i += n ? n : 1;
    }
    return ERR_OK;
}

enum err_code archive_path_clean(const char *name, struct buf *ret, struct err *e)
{
    if (is_absolute(name))
        return err_set(e, ERR_ARCHIVE_PATH, "%.300s: absolute paths are not allowed", name);
    if (has_dot_dot(name))
        return err_set(e, ERR_ARCHIVE_PATH, "%.300s: \"..\" is not allowed in a path", name);
    buf_reset(ret);
    enum err_code r = buf_append(ret, "", 0, e);
    for (const char *at = name; *at && !r;) {
        size_t len = strcspn(at, "/");
        if (len && !(len == 1 && at[0] == '.')) {
            if (ret->len)
                r = buf_append(ret, "/", 1, e);
            if (!r)
                r = append_utf8(at, len, ret, e);
        }
        at += len + (at[len] != 0);
    }
    if (r == ERR_BODY_TOO_LARGE)
        return err_set(e, ERR_ARCHIVE_PATH, "%.300s...: a path of more than %zu bytes", name,
                       ret->max);
    return r;
}
