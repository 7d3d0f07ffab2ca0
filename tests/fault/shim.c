/* An LD_PRELOAD library in which the Nth call of a kind fails: see README.md.
 *
 * The wrappers make the system call themselves, so nothing has to be looked up, and allocate
 * nothing, so any of them may run inside malloc(). */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include "tests/fault/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { WRITE, FSYNC, SYNCFS, RENAME, OPEN, TRUNCATE, MKDIR, UNLINK, MALLOC, CALLS };
static const char *const call_names[CALLS] = { "write",    "fsync", "syncfs", "rename", "open",
                                               "truncate", "mkdir", "unlink", "malloc" };

enum action { ENOSPC_ACTION, EIO_ACTION, ENOMEM_ACTION, KILL_ACTION, TORN_ACTION, ACTIONS };
static const char *const action_names[ACTIONS] = { "enospc", "eio", "enomem", "kill", "torn" };

/* Plain data of the one process; written while nothing else runs, but for the counters. */
static struct {
    enum call call;
    long n;
    bool and_later;
    enum action action;
    char below[PATH_MAX]; /* "" : everywhere */
    size_t below_len;
    char mark[PATH_MAX];
} plan;
static atomic_bool armed;
static atomic_bool struck;
static atomic_long count;
static atomic_long live;

static int find_word(const char *const *words, int count_of_words, const char *text, size_t len)
{
    for (int i = 0; i < count_of_words; i++)
        if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
            return i;
    return -1;
}

bool fault_arm(const char *spec)
{
    atomic_store(&armed, false);
    const char *colon = strchr(spec, ':');
    if (!colon)
        return false;
    char *end;
    long n = strtol(colon + 1, &end, 10);
    bool and_later = *end == '+';
    end += and_later;
    int call = find_word(call_names, CALLS, spec, (size_t)(colon - spec));
    int action = *end == ':' ? find_word(action_names, ACTIONS, end + 1, strlen(end + 1)) : -1;
    if (call < 0 || action < 0 || n < 1)
        return false;
    plan.call = (enum call)call;
    plan.n = n;
    plan.and_later = and_later;
    plan.action = (enum action)action;
    atomic_store(&count, 0);
    atomic_store(&live, 0);
    atomic_store(&struck, false);
    atomic_store(&armed, true);
    return true;
}

bool fault_disarm(void)
{
    atomic_store(&armed, false);
    return atomic_load(&struck);
}

long fault_live(void)
{
    return atomic_load(&live);
}

static void copy_setting(const char *name, char ret[PATH_MAX])
{
    const char *value = getenv(name);
    if (value && strlen(value) < PATH_MAX)
        strcpy(ret, value);
}

/* KENNEL_FAULT_ARG=word: only processes with that argument; !word: only those without it. */
static bool is_meant(void)
{
    const char *word = getenv("KENNEL_FAULT_ARG");
    if (!word)
        return true;
    bool without = word[0] == '!';
    word += without;
    char text[4096];
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    long len = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof text - 1);
    if (fd >= 0)
        syscall(SYS_close, fd);
    text[len > 0 ? len : 0] = 0;
    bool found = false;
    for (const char *at = text; at < text + len; at += strlen(at) + 1)
        found |= strcmp(at, word) == 0;
    return found != without;
}

__attribute__((constructor)) static void set_up(void)
{
    copy_setting("KENNEL_FAULT_BELOW", plan.below);
    plan.below_len = strlen(plan.below);
    copy_setting("KENNEL_FAULT_MARK", plan.mark);
    const char *spec = getenv("KENNEL_FAULT");
    if (!spec || !is_meant() || fault_arm(spec))
        return;
    static const char complaint[] = "KENNEL_FAULT must be CALL:N[+]:ACTION\n";
    syscall(SYS_write, STDERR_FILENO, complaint, sizeof complaint - 1);
    _exit(126);
}

static bool is_below(const char *path)
{
    return plan.below_len == 0 || (strncmp(path, plan.below, plan.below_len) == 0 &&
                                   (path[plan.below_len] == '/' || path[plan.below_len] == 0));
}

static bool fd_is_below(int fd)
{
    if (plan.below_len == 0)
        return true;
    char link[40], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long len = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (len < 0)
        return false;
    path[len] = 0;
    return is_below(path);
}

/* By the text of the path: ".." and links in it are not looked through. */
static bool path_is_below(int folder, const char *path)
{
    if (plan.below_len == 0 || path[0] == '/')
        return is_below(path);
    if (folder != AT_FDCWD)
        return fd_is_below(folder);
    char here[PATH_MAX];
    return syscall(SYS_getcwd, here, sizeof here) > 0 && is_below(here);
}

/* Async-signal-safe, because it may run inside malloc(). */
static void leave_mark(void)
{
    if (!plan.mark[0])
        return;
    long fd =
        syscall(SYS_openat, AT_FDCWD, plan.mark, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    syscall(SYS_write, fd, call_names[plan.call], strlen(call_names[plan.call]));
    syscall(SYS_write, fd, "\n", 1);
    syscall(SYS_close, fd);
}

static void die(void)
{
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;)
        pause();
}

/* Whether this call is the one to fail; errno is then set. It does not come back from a kill. */
static bool strikes(enum call call)
{
    if (!atomic_load(&armed) || plan.call != call)
        return false;
    long n = atomic_fetch_add(&count, 1) + 1;
    if (n != plan.n && !(plan.and_later && n > plan.n))
        return false;
    if (!atomic_exchange(&struck, true))
        leave_mark();
    if (plan.action == KILL_ACTION)
        die();
    errno = plan.action == ENOSPC_ACTION ? ENOSPC : plan.action == EIO_ACTION ? EIO : ENOMEM;
    return true;
}

static bool strikes_fd(enum call call, int fd)
{
    return atomic_load(&armed) && plan.call == call && fd_is_below(fd) && strikes(call);
}

static bool strikes_path(enum call call, int folder, const char *path)
{
    return atomic_load(&armed) && plan.call == call && path_is_below(folder, path) && strikes(call);
}

/* ---- write */

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (strikes_fd(WRITE, fd)) {
        if (plan.action != TORN_ACTION)
            return -1;
        syscall(SYS_write, fd, bytes, len / 2);
        die();
    }
    return syscall(SYS_write, fd, bytes, len);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    if (strikes_fd(WRITE, fd)) {
        if (plan.action != TORN_ACTION)
            return -1;
        syscall(SYS_pwrite64, fd, bytes, len / 2, at);
        die();
    }
    return syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite64(fd, bytes, len, at);
}

ssize_t writev(int fd, const struct iovec *pieces, int pieces_count)
{
    if (strikes_fd(WRITE, fd)) {
        if (plan.action != TORN_ACTION)
            return -1;
        die();
    }
    return syscall(SYS_writev, fd, pieces, pieces_count);
}

/* ---- fsync, syncfs */

int fsync(int fd)
{
    return strikes_fd(FSYNC, fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return strikes_fd(FSYNC, fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
    return strikes_fd(SYNCFS, fd) ? -1 : (int)syscall(SYS_syncfs, fd);
}

/* ---- names */

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (strikes_path(RENAME, to_folder, to))
        return -1;
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return renameat2(from_folder, from, to_folder, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    return strikes_path(MKDIR, folder, path) ? -1 : (int)syscall(SYS_mkdirat, folder, path, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int folder, const char *path, int flags)
{
    return strikes_path(UNLINK, folder, path) ? -1
                                              : (int)syscall(SYS_unlinkat, folder, path, flags);
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int ftruncate64(int fd, off64_t size)
{
    return strikes_fd(TRUNCATE, fd) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

/* ---- open, with the names that fortified and 64-bit callers use */

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
    if (strikes_path(OPEN, folder, path))
        return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

static mode_t mode_of(int flags, va_list ap)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

#define OPEN_WRAPPERS(open_name, openat_name)                                                      \
    int open_name(const char *path, int flags, ...)                                                \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode_t mode = mode_of(flags, ap);                                                          \
        va_end(ap);                                                                                \
        return open_any(AT_FDCWD, path, flags, mode);                                              \
    }                                                                                              \
    int openat_name(int folder, const char *path, int flags, ...)                                  \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode_t mode = mode_of(flags, ap);                                                          \
        va_end(ap);                                                                                \
        return open_any(folder, path, flags, mode);                                                \
    }
OPEN_WRAPPERS(open, openat)
OPEN_WRAPPERS(open64, openat64)

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __openat_2(int folder, const char *path, int flags)
{
    return open_any(folder, path, flags, 0);
}

int __openat64_2(int folder, const char *path, int flags)
{
    return open_any(folder, path, flags, 0);
}

/* The C library's own mkostemp() calls no open() that could be replaced. */
int mkostemp64(char *template, int flags)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strlen(template);
    if (len < 6 || memcmp(template + len - 6, "XXXXXX", 6) != 0) {
        errno = EINVAL;
        return -1;
    }
    if (strikes_path(OPEN, AT_FDCWD, template))
        return -1;
    for (;;) {
        uint32_t random[6];
        if (syscall(SYS_getrandom, random, sizeof random, 0) < 0)
            return -1;
        for (int i = 0; i < 6; i++)
            template[len - 6 + (size_t)i] = letters[random[i] % (sizeof letters - 1)];
        int fd =
            (int)syscall(SYS_openat, AT_FDCWD, template, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
}

int mkostemp(char *template, int flags)
{
    return mkostemp64(template, flags);
}

/* ---- malloc */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t number, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void *allocated(void *block)
{
    if (block)
        atomic_fetch_add(&live, 1);
    return block;
}

void *malloc(size_t size)
{
    return strikes(MALLOC) ? NULL : allocated(__libc_malloc(size));
}

void *calloc(size_t number, size_t size)
{
    return strikes(MALLOC) ? NULL : allocated(__libc_calloc(number, size));
}

void *realloc(void *block, size_t size)
{
    if (!block)
        return malloc(size);
    if (size == 0) {
        free(block);
        return NULL;
    }
    return strikes(MALLOC) ? NULL : __libc_realloc(block, size);
}

void *reallocarray(void *block, size_t number, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(number, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size)
{
    return strikes(MALLOC) ? NULL : allocated(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    int before = errno;
    void *block = memalign(alignment, size);
    errno = before;
    if (!block)
        return ENOMEM;
    *ret = block;
    return 0;
}

void free(void *block)
{
    if (block)
        atomic_fetch_sub(&live, 1);
    __libc_free(block);
}
