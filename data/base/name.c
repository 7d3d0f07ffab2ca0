#include "data/base/name.h"

#include <string.h>

enum err_code name_check(const char *name, const char *what, struct err *e)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    if (len >= 1 && len <= 64 && strchr(first, name[0]) && strspn(name, rest) == len)
        return ERR_OK;
    return err_set(e, ERR_NAME_SYNTAX,
                   "%s \"%.80s\" must be 1 to 64 of a-z A-Z 0-9 . _ - beginning with a letter or "
                   "digit",
                   what, name);
}
