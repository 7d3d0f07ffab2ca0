/* args.h -- a command line: positional arguments and --flags in any order.
 * Everything is borrowed from argv. */
#ifndef KENNEL_CLIENT_ARGS_H
#define KENNEL_CLIENT_ARGS_H

#include <stdbool.h>
#include <stdint.h>

struct flag {
    const char *name;  /* without the dashes */
    const char *value; /* how --help calls it; NULL: a switch */
    const char *help;
};

struct args {
    int count; /* positional */
    const char **values;
    int flag_count;
    struct {
        const struct flag *flag;
        const char *value; /* "" for a switch */
    } * flags;
};

/* Sorts argv into *ret by two tables (either may be NULL) that end with empty rows. "--" ends the
 * flags, "-" is positional. False after a message on standard error. args_fini() in any case. */
bool args_parse(int argc, char **argv, const struct flag *global, const struct flag *own,
                struct args *ret);
void args_fini(struct args *a);

/* The last one given, or NULL. */
const char *args_flag(const struct args *a, const char *name);
bool args_has(const struct args *a, const char *name);
/* The n-th of a flag that may be given again and again, or NULL. */
const char *args_flag_nth(const struct args *a, const char *name, int n);
/* False after a message when it is there and no integer of that range; absent: *ret stays. */
bool args_int(const struct args *a, const char *name, int64_t min, int64_t max, int64_t *ret);

#endif
