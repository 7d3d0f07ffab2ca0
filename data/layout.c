#include "data/layout.h"

#include "data/base/utf8.h"

#include <string.h>

static const char *const split_names[] = {
    [SPLIT_TRAIN] = "train",
    [SPLIT_VAL] = "val",
    [SPLIT_TEST] = "test",
};

const char *split_text(enum split s)
{
    return s == SPLIT_AUTO ? NULL : split_names[s];
}

bool split_parse(const char *text, enum split *ret)
{
    for (enum split s = SPLIT_TRAIN; s <= SPLIT_TEST; s++) {
        if (strcmp(text, split_names[s]) == 0) {
            *ret = s;
            return true;
        }
    }
    return false;
}

/* A part of a path: not terminated. */
struct part {
    const char *text;
    size_t len;
};

static bool part_is(struct part p, const char *text)
{
    return p.len == strlen(text) && memcmp(p.text, text, p.len) == 0;
}

/* As a folder's name the split may also be spelled as other tools spell it. */
static bool parse_split_folder(struct part p, enum split *ret)
{
    for (enum split s = SPLIT_TRAIN; s <= SPLIT_TEST; s++) {
        if (part_is(p, split_names[s])) {
            *ret = s;
            return true;
        }
    }
    if (!part_is(p, "valid") && !part_is(p, "validation"))
        return false;
    *ret = SPLIT_VAL;
    return true;
}

static bool is_clutter(struct part p)
{
    return part_is(p, ".DS_Store") || part_is(p, "Thumbs.db") || part_is(p, "__MACOSX") ||
           (p.len > 2 && memcmp(p.text, "._", 2) == 0);
}

static enum err_code check_label(const char *label, size_t len, struct err *e)
{
    int shown = len > LABEL_MAX ? LABEL_MAX : (int)len;
    if (len == 0 || len > LABEL_MAX)
        return err_set(e, ERR_LAYOUT, "label \"%.*s\": must be 1 to %d bytes, is %zu", shown, label,
                       LABEL_MAX, len);
    if ((len == 1 && label[0] == '.') || (len == 2 && memcmp(label, "..", 2) == 0))
        return err_set(e, ERR_LAYOUT, "label \"%.*s\": is no name", shown, label);
    for (size_t i = 0; i < len;) {
        uint32_t point;
        size_t n = utf8_next(label + i, len - i, &point);
        /* U+FFFD stands where an archive's name was not UTF-8. */
        if (n == 0 || point == 0xfffd)
            return err_set(e, ERR_LAYOUT, "label \"%.*s\": is not UTF-8", shown, label);
        if (utf8_is_control(point))
            return err_set(e, ERR_LAYOUT, "label \"%.*s\": has a control character", shown, label);
        if (point == '/')
            return err_set(e, ERR_LAYOUT, "label \"%.*s\": has a slash", shown, label);
        i += n;
    }
    return ERR_OK;
}

enum err_code layout_check_label(const char *label, struct err *e)
{
    return check_label(label, strlen(label), e);
}

enum err_code layout_parse(const char *path, struct layout *ret, bool *ret_skip, struct err *e)
{
    /* The last three parts decide: SPLIT, LABEL, FILE. */
    struct part last[3] = { { 0 } };
    size_t count = 0;
    bool clutter = false;
    for (const char *at = path;;) {
        struct part p = { at, strcspn(at, "/") };
        clutter |= is_clutter(p);
        last[0] = last[1];
        last[1] = last[2];
        last[2] = p;
        count++;
        at += p.len;
        if (!*at)
            break;
        at++;
    }
    if (clutter) {
        *ret_skip = true;
        return ERR_OK;
    }

    struct layout l = { .split = SPLIT_AUTO };
    enum split ignored;
    bool has_split = count >= 3 && parse_split_folder(last[0], &l.split);
    if (count < 2 || last[2].len == 0 || (count > 2 && !has_split))
        return err_set(e, ERR_LAYOUT,
                       "%.300s: expected LABEL/FILE or [.../](train|val|test)/LABEL/FILE", path);
    if (count == 2 && parse_split_folder(last[1], &ignored))
        return err_set(e, ERR_LAYOUT,
                       "%.300s: a split folder without a label, expected %.*s/LABEL/FILE", path,
                       (int)last[1].len, last[1].text);
    enum err_code r = check_label(last[1].text, last[1].len, e);
    if (r)
        return r;
    memcpy(l.label, last[1].text, last[1].len);
    *ret = l;
    *ret_skip = false;
    return ERR_OK;
}

enum split layout_auto_split(const struct digest *picture)
{
    /* The tail, so that the split has nothing to do with the order of a manifest. */
    uint64_t number = 0;
    for (int i = DIGEST_BYTES - 8; i < DIGEST_BYTES; i++)
        number = number << 8 | picture->bytes[i];
    return number % 5 == 0 ? SPLIT_VAL : SPLIT_TRAIN;
}
