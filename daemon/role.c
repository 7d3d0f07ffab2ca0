#include "daemon/role.h"

#include <string.h>

static const char *const texts[ROLES] = { "score", "train", "promote", "admin" };

const char *role_text(enum role r)
{
    return texts[r];
}

bool role_parse(const char *text, enum role *ret)
{
    for (int i = 0; i < ROLES; i++)
        if (strcmp(text, texts[i]) == 0) {
            *ret = (enum role)i;
            return true;
        }
    return false;
}
