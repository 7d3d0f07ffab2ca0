/* listen.h -- the socket that the server accepts on.
 * Threads: any; nothing shared. */
#ifndef KENNEL_LISTEN_H
#define KENNEL_LISTEN_H

#include "data/base/err.h"

#include <stdint.h>

/* address: "127.0.0.1:5001", "[::1]:0", "localhost:5001", "0.0.0.0:5001". Beyond loopback only with
 * allow_remote. The caller owns *ret_fd. ERR_FIELD_RANGE for what is no such address,
 * ERR_PATH_FORBIDDEN for one that is not allowed, ERR_IO when it cannot be bound. */
enum err_code listen_open(const char *address, bool allow_remote, int *ret_fd, uint16_t *ret_port,
                          struct err *e) MUST_USE;

/* The same for a socket that listens already (systemd's socket activation); it stays the caller's
 * on failure. */
enum err_code listen_adopt(int fd, bool allow_remote, uint16_t *ret_port, struct err *e) MUST_USE;

/* It is reached from this machine alone. */
bool listen_is_loopback(int fd);

#endif
