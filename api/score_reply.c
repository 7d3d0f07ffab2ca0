#include "api/score_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_TEXT_MAX = 1 << 16 };

static bool reads_back(double near, int digits, float x, char ret[FLOAT_TEXT])
{
    snprintf(ret, FLOAT_TEXT, "%.*e", digits - 1, near);
    return strtof(ret, NULL) == x;
}

/* "d.ddde-XX" with the fewest digits that read back as x. The gap above a power of two is wider
 * than that below, so the decimal that fits may be the one above the nearest: hence the second try.
 */
static void shortest(float x, char ret[FLOAT_TEXT])
{
    for (int digits = 1; digits <= 9; digits++)
        if (reads_back((double)x, digits, x, ret) ||
            reads_back((double)x * (1 + 0x1p-25), digits, x, ret))
            return;
}

/* Digits behind the first one, without the point. */
static void gather_digits(const char *text, char ret[12])
{
    int n = 0;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && n < 11)
            ret[n++] = *text;
    ret[n] = 0;
}

void float_text(float x, char ret[FLOAT_TEXT])
{
    if (x == 0) {
        snprintf(ret, FLOAT_TEXT, "0.0");
        return;
    }
    char text[FLOAT_TEXT], digits[12];
    shortest(x, text);
    int exponent = atoi(strchr(text, 'e') + 1);
    const char *sign = x < 0 ? "-" : "";
    gather_digits(text, digits);
    int count = (int)strlen(digits);
    double size = x < 0 ? -(double)x : (double)x;
    if (size < 1e-4 || size >= 1e16)
        snprintf(ret, FLOAT_TEXT, "%s%c%s%se%c%02d", sign, digits[0], count > 1 ? "." : "",
                 digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
    else if (exponent < 0)
        snprintf(ret, FLOAT_TEXT, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    else if (exponent >= count - 1)
        snprintf(ret, FLOAT_TEXT, "%s%s%.*s.0", sign, digits, exponent - (count - 1),
                 "0000000000000000");
    else
        snprintf(ret, FLOAT_TEXT, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}

/* One code point of UTF-8 (RFC 3629); U+FFFD and one byte where it is none. */
static size_t decode(const unsigned char *s, uint32_t *ret)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t len = s[0] < 0x80             ? 1
                 : (s[0] & 0xe0) == 0xc0 ? 2
                 : (s[0] & 0xf0) == 0xe0 ? 3
                 : (s[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    uint32_t c = len == 1 ? s[0] : len ? s[0] & (0x7fu >> len) : 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            len = 0;
            break;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    if (!len || (len > 1 && c < least[len]) || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        *ret = 0xfffd;
        return 1;
    }
    *ret = c;
    return len;
}

static enum err_code escape(uint32_t c, struct buf *ret, struct err *e)
{
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof named; i += 2)
        if (c == (unsigned char)named[i])
            return buf_append(ret, (char[]){ '\\', named[i + 1] }, 2, e);
    if (c >= 0x20 && c < 0x7f)
        return buf_append(ret, (char[]){ (char)c }, 1, e);
    char text[16];
    if (c >= 0x10000) {
        c -= 0x10000;
        snprintf(text, sizeof text, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 | c >> 10,
                 0xdc00 | (c & 0x3ff));
    } else {
        snprintf(text, sizeof text, "\\u%04" PRIx32, c);
    }
    return buf_append(ret, text, strlen(text), e);
}

enum err_code json_ascii(const char *text, struct buf *ret, struct err *e)
{
    enum err_code code = buf_append(ret, "\"", 1, e);
    while (!code && *text) {
        uint32_t c;
        text += decode((const unsigned char *)text, &c);
        code = escape(c, ret, e);
    }
    return code ? code : buf_append(ret, "\"", 1, e);
}

enum err_code score_reply_workshop(const struct prediction *p, struct buf *ret, struct err *e)
{
    struct buf inner;
    buf_init(&inner, LABEL_TEXT_MAX);
    char probability[FLOAT_TEXT];
    float_text(p->probability, probability);
    enum err_code code = buf_printf(&inner, e, "{\"label\": ");
    if (!code)
        code = json_ascii(p->label, &inner, e);
    if (!code)
        code = buf_printf(&inner, e, ", \"probability\": \"%s\"}", probability);
    if (!code)
        code = json_ascii((const char *)inner.data, ret, e);
    buf_fini(&inner);
    return code;
}

enum err_code score_reply_predictions(const struct score_result *result, const char *prediction_id,
                                      struct buf *ret, struct err *e)
{
    enum err_code code = buf_printf(ret, e,
                                    "{\"model\":\"%s\",\"version\":%" PRId64
                                    ",\"prediction_id\":\"%s\",\"predictions\":[",
                                    result->model, result->version, prediction_id);
    for (int i = 0; !code && i < result->count; i++) {
        char probability[FLOAT_TEXT];
        float_text(result->predictions[i].probability, probability);
        code = buf_printf(ret, e, "%s{\"label\":", i ? "," : "");
        if (!code)
            code = json_ascii(result->predictions[i].label, ret, e);
        if (!code)
            code = buf_printf(ret, e, ",\"probability\":%s}", probability);
    }
    return code ? code : buf_printf(ret, e, "]}\n");
}
