#include "daemon/memory_limit.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DIGITS_MAX = 24 };

/* Appends to a line; snprintf() is not for signal handlers. */
static size_t put_text(char *line, size_t at, const char *text)
{
    size_t len = strlen(text);
    memcpy(line + at, text, len);
    return at + len;
}

static size_t put_number(char *line, size_t at, uint64_t number)
{
    char digits[DIGITS_MAX];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count)
        line[at++] = digits[--count];
    return at;
}

/* Room that is asked for and never touched. */
static bool is_little_left(void)
{
    void *room =
        mmap(NULL, MEMORY_LIMIT_LITTLE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return true;
    munmap(room, MEMORY_LIMIT_LITTLE);
    return false;
}

static void tell_want(void)
{
    struct rlimit limit;
    char line[256];
    if (getrlimit(RLIMIT_DATA, &limit) < 0)
        return;
    size_t len = put_text(line, 0,
                          "{\"error\":{\"code\":\"no_memory\",\"message\":\"a library crashed for "
                          "want of memory; the job's memory limit is ");
    len = put_number(line, len, (uint64_t)limit.rlim_cur);
    len = put_text(line, len, " bytes\"}}\n");
    if (write(STDOUT_FILENO, line, len) == (ssize_t)len)
        _exit(1);
}

/* Whatever is not for want of memory ends the process as if nobody had watched: SA_RESETHAND. */
static void on_crash(int signal_number)
{
    if (is_little_left())
        tell_want();
    (void)raise(signal_number);
}

enum err_code memory_limit_set(int64_t bytes, struct err *e)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT };
    const struct rlimit limit = { (rlim_t)bytes, (rlim_t)bytes };
    struct sigaction action = { .sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND };
    sigemptyset(&action.sa_mask);
    if (setrlimit(RLIMIT_DATA, &limit) < 0)
        return err_errno(e, errno, "cannot limit memory to %" PRId64 " bytes", bytes);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], &action, NULL) < 0)
            return err_errno(e, errno, "cannot watch for crashes");
    return ERR_OK;
}
