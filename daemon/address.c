#include "daemon/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BLOCK_TEXT = 64 };

/* Not global unicast. Translations of IPv4 (6to4, Teredo) would lead around the rest. */
static const char *const special[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",    "2001::/23",
    "2001:db8::/32", "2002::/16",       "3fff::/20",
};
/* The whole of IPv6's global unicast: all else is special, reserved, or IPv4 in another form. */
static const char global[] = "2000::/3", mapped_v4[] = "::ffff:0:0/96";
static const char *const private_blocks[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                              "fc00::/7" };
static const char *const loopback_blocks[] = { "127.0.0.0/8", "::1/128" };

static bool parse_address(const char *text, uint8_t ret[16], bool *ret_v4)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    uint8_t bytes[16];
    memcpy(bytes, mapped, sizeof mapped);
    *ret_v4 = inet_pton(AF_INET, text, bytes + 12) == 1;
    if (!*ret_v4 && inet_pton(AF_INET6, text, bytes) != 1)
        return false;
    memcpy(ret, bytes, sizeof bytes);
    return true;
}

static bool parse_block(const char *text, struct address_block *ret)
{
    char address[BLOCK_TEXT];
    size_t len = strcspn(text, "/");
    bool v4 = false;
    if (len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = 0;
    if (!parse_address(address, ret->bytes, &v4))
        return false;
    int bits = v4 ? 32 : 128;
    long prefix = bits;
    if (text[len]) {
        char *end;
        const char *digits = text + len + 1;
        prefix = strtol(digits, &end, 10);
        if (digits[0] < '0' || digits[0] > '9' || *end || prefix > bits)
            return false;
    }
    ret->prefix = (int)prefix + (v4 ? 96 : 0);
    return true;
}

static bool contains(const struct address_block *block, const uint8_t address[16])
{
    int whole = block->prefix / 8, rest = block->prefix % 8;
    if (memcmp(block->bytes, address, (size_t)whole) != 0)
        return false;
    return !rest || (block->bytes[whole] ^ address[whole]) >> (8 - rest) == 0;
}

static enum err_code add(struct address_allow *allow, const char *text, struct err *e)
{
    if (allow->count == ADDRESS_BLOCKS_MAX)
        return err_set(e, ERR_FIELD_RANGE, "more than %d blocks of addresses", ADDRESS_BLOCKS_MAX);
    if (!parse_block(text, &allow->blocks[allow->count]))
        return err_set(e, ERR_FIELD_RANGE,
                       "\"%.60s\" is no block of addresses: 10.1.0.0/16, fd00::/8, private or "
                       "loopback",
                       text);
    allow->count++;
    return ERR_OK;
}

static enum err_code add_all(struct address_allow *allow, const char *const *texts, size_t count,
                             struct err *e)
{
    enum err_code r = ERR_OK;
    for (size_t i = 0; i < count && !r; i++)
        r = add(allow, texts[i], e);
    return r;
}

static enum err_code add_word(struct address_allow *allow, const char *word, struct err *e)
{
    if (strcmp(word, "private") == 0)
        return add_all(allow, private_blocks, sizeof private_blocks / sizeof *private_blocks, e);
    if (strcmp(word, "loopback") == 0)
        return add_all(allow, loopback_blocks, sizeof loopback_blocks / sizeof *loopback_blocks, e);
    return add(allow, word, e);
}

enum err_code address_allow_parse(const char *text, struct address_allow *ret, struct err *e)
{
    struct address_allow allow = { 0 };
    enum err_code r = ERR_OK;
    while (text && !r) {
        char word[BLOCK_TEXT];
        size_t len = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", len < sizeof word ? (int)len : (int)sizeof word - 1,
                 text);
        r = add_word(&allow, word, e);
        text = text[len] ? text + len + 1 : NULL;
    }
    if (!r)
        *ret = allow;
    return r;
}

static bool is_in(const char *text, const uint8_t address[16])
{
    struct address_block block;
    return parse_block(text, &block) && contains(&block, address);
}

static bool is_allowed(const struct address_allow *allow, const uint8_t address[16])
{
    for (int i = 0; i < allow->count; i++)
        if (contains(&allow->blocks[i], address))
            return true;
    if (!is_in(global, address) && !is_in(mapped_v4, address))
        return false;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (is_in(special[i], address))
            return false;
    return true;
}

bool address_is_allowed(const struct address_allow *allow, const struct sockaddr *address)
{
    uint8_t bytes[16] = { [10] = 0xff, [11] = 0xff };
    if (address->sa_family == AF_INET)
        memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    else if (address->sa_family == AF_INET6)
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    else
        return false;
    return is_allowed(allow, bytes);
}

bool address_text_is_allowed(const struct address_allow *allow, const char *host)
{
    char plain[BLOCK_TEXT];
    uint8_t bytes[16];
    bool v4 = false;
    size_t len = strlen(host);
    if (len > 2 && host[0] == '[' && len - 2 < sizeof plain) {
        memcpy(plain, host + 1, len - 2);
        plain[len - 2] = 0;
        host = plain;
    }
    return !parse_address(host, bytes, &v4) || is_allowed(allow, bytes);
}
