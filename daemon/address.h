/* address.h -- which network addresses the daemon may be made to connect to.
 *
 * A URL that somebody gives us must not reach what only this machine or its network can reach: the
 * loopback, private networks, a cloud's metadata service. So an address is refused unless it is
 * global unicast (IANA's special-purpose registries, RFC 6890) or the configuration allows it. What
 * is checked is the address that is connected to, never a name, which may mean another one a moment
 * later.
 * Threads: any; an address_allow is constant once made. */
#ifndef KENNEL_ADDRESS_H
#define KENNEL_ADDRESS_H

#include "data/base/err.h"

#include <stdint.h>

struct sockaddr;

enum { ADDRESS_BLOCKS_MAX = 32 };

struct address_block {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
    int prefix;        /* bits */
};

struct address_allow {
    struct address_block blocks[ADDRESS_BLOCKS_MAX];
    int count;
};

/* text: blocks in CIDR notation and the words "private" (RFC 1918, RFC 4193) and "loopback", with
 * commas between; NULL: none. ERR_FIELD_RANGE names the one that cannot be read. */
enum err_code address_allow_parse(const char *text, struct address_allow *ret, struct err *e)
    MUST_USE;

bool address_is_allowed(const struct address_allow *allow, const struct sockaddr *address);
/* For the host of a URL: false when it is an address that is not allowed; a name is true. */
bool address_text_is_allowed(const struct address_allow *allow, const char *host);

#endif
