#include "api/listen.h"

#include "data/base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BACKLOG = 1024 };

static void addrinfo_free(struct addrinfo **list)
{
    if (*list)
        freeaddrinfo(*list);
}

/* "host:port" or "[host]:port" into its parts. */
static bool split(const char *address, char host[static 128], char port[static 8])
{
    const char *colon = strrchr(address, ':');
    if (!colon || strlen(colon + 1) > 5 || !colon[1] ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return false;
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len)) {
        return false;
    }
    if (!len || len >= 128)
        return false;
    memcpy(host, address, len);
    host[len] = 0;
    snprintf(port, 8, "%s", colon + 1);
    return atoi(port) <= 65535;
}

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
    return false;
}

bool listen_is_loopback(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    return getsockname(fd, (struct sockaddr *)&a, &len) == 0 &&
           is_loopback((const struct sockaddr *)&a);
}

static enum err_code bound_port(int fd, uint16_t *ret, struct err *e)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    char port[8] = "";
    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return err_errno(e, errno, "cannot tell the port");
    int error = getnameinfo((struct sockaddr *)&a, len, NULL, 0, port, sizeof port, NI_NUMERICSERV);
    if (error)
        return err_set(e, ERR_IO, "cannot tell the port: %s", gai_strerror(error));
    *ret = (uint16_t)strtoul(port, NULL, 10);
    return ERR_OK;
}

static enum err_code bind_fd(int fd, const struct addrinfo *where, const char *address,
                             uint16_t *ret_port, struct err *e)
{
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, where->ai_addr, where->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        return err_errno(e, errno, "cannot listen on %s", address);
    return bound_port(fd, ret_port, e);
}

static enum err_code check_remote(const struct sockaddr *a, bool allow_remote, const char *address,
                                  struct err *e)
{
    if (allow_remote || is_loopback(a))
        return ERR_OK;
    return err_set(e, ERR_PATH_FORBIDDEN,
                   "refusing to listen on %s: anybody who reaches it could do anything, because "
                   "there are no keys; make an admin's key first (kennel key create), listen on "
                   "127.0.0.1, or allow it with --allow-remote",
                   address);
}

enum err_code listen_adopt(int fd, bool allow_remote, uint16_t *ret_port, struct err *e)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    int flags = fcntl(fd, F_GETFL), accepts = 0;
    socklen_t accepts_len = sizeof accepts;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &accepts_len) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return err_errno(e, errno, "the socket that was handed over");
    if (!accepts || (a.ss_family != AF_INET && a.ss_family != AF_INET6))
        return err_set(e, ERR_FIELD_RANGE,
                       "the socket that was handed over does not listen for TCP connections");
    enum err_code code = check_remote((const struct sockaddr *)&a, allow_remote,
                                      "the socket that was handed over", e);
    return code ? code : bound_port(fd, ret_port, e);
}

enum err_code listen_open(const char *address, bool allow_remote, int *ret_fd, uint16_t *ret_port,
                          struct err *e)
{
    char host[128], port[8];
    if (!split(address, host, port))
        return err_set(e, ERR_FIELD_RANGE,
                       "cannot listen on \"%.100s\": expected HOST:PORT, as in 127.0.0.1:5001 or "
                       "[::1]:5001",
                       address);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    CLEANUP(addrinfo_free) struct addrinfo *list = NULL;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error)
        return err_set(e, ERR_FIELD_RANGE, "cannot listen on \"%.100s\": %s", address,
                       gai_strerror(error));
    enum err_code code = check_remote(list->ai_addr, allow_remote, address, e);
    if (code)
        return code;

    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(e, errno, "cannot listen on %s", address);
    code = bind_fd(fd, list, address, ret_port, e);
    if (code)
        close(fd);
    else
        *ret_fd = fd;
    return code;
}
