#include "data/base/utf8.h"

size_t utf8_next(const char *text, size_t len, uint32_t *ret)
{
    const unsigned char *at = (const unsigned char *)text;
    if (len == 0)
        return 0;
    if (at[0] < 0x80) {
        *ret = at[0];
        return 1;
    }
    size_t n = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || len < n)
        return 0;
    uint32_t point = at[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3fu);
    }
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret = point;
    return n;
}

bool utf8_is_control(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
}
