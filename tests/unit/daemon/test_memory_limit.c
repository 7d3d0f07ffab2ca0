#include "daemon/memory_limit.h"

#include "data/base/cleanup.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIMIT = 64 << 20, PIECE = 1 << 20 };

/* A process that has taken all but some of its memory, and dies of a signal. */
static void die(int number, size_t pieces, int output)
{
    char *last = NULL;
    dup2(output, STDOUT_FILENO);
    if (memory_limit_set(LIMIT, NULL))
        _exit(99);
    for (size_t i = 0; i < pieces; i++) {
        char *piece = malloc(PIECE);
        if (!piece)
            break;
        piece[0] = 1;
        memcpy(piece + 1, &last, sizeof last); /* all of them are held on to */
        last = piece;
    }
    raise(number);
    _exit(last ? 97 : 98);
}

static int died(int number, size_t pieces, char ret[512])
{
    int ends[2], status = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        die(number, pieces, ends[1]);
    assert_true(child > 0);
    close(ends[1]);
    ssize_t n = read(ends[0], ret, 511);
    assert_true(n >= 0);
    ret[n] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_crash_for_want_of_memory_is_told(void **state)
{
    (void)state;
    static const int numbers[] = { SIGSEGV, SIGBUS, SIGABRT };
    char said[512];
    for (size_t i = 0; i < 3; i++) {
        int status = died(numbers[i], 1000, said);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        assert_string_equal(said, "{\"error\":{\"code\":\"no_memory\",\"message\":\"a library "
                                  "crashed for want of memory; the job's memory limit is 67108864 "
                                  "bytes\"}}\n");
    }
}

static void any_other_crash_is_one(void **state)
{
    (void)state;
    static const int numbers[] = { SIGSEGV, SIGABRT };
    char said[512];
    for (size_t i = 0; i < 2; i++) {
        int status = died(numbers[i], 2, said);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == numbers[i]);
        assert_string_equal(said, "");
    }
}

int main(void)
{
    if (!getenv("KENNEL_FAULT_SHIM")) /* a sanitizer's shadow counts as memory too */
        return 77;
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_crash_for_want_of_memory_is_told),
                                        cmocka_unit_test(any_other_crash_is_one) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
