#include "api/client/args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct flag *find(const struct flag *table, const char *name, size_t len)
{
    for (; table && table->name; table++)
        if (strncmp(table->name, name, len) == 0 && !table->name[len])
            return table;
    return NULL;
}

/* "--name", "--name=value", "--name value". Returns how many words it took, 0 after a message. */
static int take_flag(char **argv, int left, const struct flag *global, const struct flag *own,
                     struct args *ret)
{
    const char *name = argv[0] + 2;
    size_t len = strcspn(name, "=");
    const struct flag *flag = find(own, name, len);
    if (!flag)
        flag = find(global, name, len);
    if (!flag) {
        fprintf(stderr, "kennel: unknown option --%.*s\n", (int)len, name);
        return 0;
    }
    bool joined = name[len] == '=';
    if (!flag->value && joined) {
        fprintf(stderr, "kennel: --%s takes no value\n", flag->name);
        return 0;
    }
    if (flag->value && !joined && left < 2) {
        fprintf(stderr, "kennel: --%s needs %s\n", flag->name, flag->value);
        return 0;
    }
    ret->flags[ret->flag_count].flag = flag;
    ret->flags[ret->flag_count++].value = !flag->value ? "" : joined ? name + len + 1 : argv[1];
    return flag->value && !joined ? 2 : 1;
}

bool args_parse(int argc, char **argv, const struct flag *global, const struct flag *own,
                struct args *ret)
{
    *ret = (struct args){ 0 };
    ret->values = calloc((size_t)argc + 1, sizeof *ret->values);
    ret->flags = calloc((size_t)argc + 1, sizeof *ret->flags);
    if (!ret->values || !ret->flags) {
        fprintf(stderr, "kennel: out of memory\n");
        return false;
    }
    bool only_values = false;
    for (int i = 0; i < argc;) {
        if (!only_values && strcmp(argv[i], "--") == 0) {
            only_values = true;
            i++;
        } else if (!only_values && strncmp(argv[i], "--", 2) == 0) {
            int taken = take_flag(argv + i, argc - i, global, own, ret);
            if (!taken)
                return false;
            i += taken;
        } else {
            ret->values[ret->count++] = argv[i++];
        }
    }
    return true;
}

void args_fini(struct args *a)
{
    free(a->values);
    free(a->flags);
}

const char *args_flag(const struct args *a, const char *name)
{
    for (int i = a->flag_count - 1; i >= 0; i--)
        if (strcmp(a->flags[i].flag->name, name) == 0)
            return a->flags[i].value;
    return NULL;
}

bool args_has(const struct args *a, const char *name)
{
    return args_flag(a, name) != NULL;
}

const char *args_flag_nth(const struct args *a, const char *name, int n)
{
    for (int i = 0; i < a->flag_count; i++)
        if (strcmp(a->flags[i].flag->name, name) == 0 && n-- == 0)
            return a->flags[i].value;
    return NULL;
}

bool args_int(const struct args *a, const char *name, int64_t min, int64_t max, int64_t *ret)
{
    const char *text = args_flag(a, name);
    if (!text)
        return true;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max) {
        fprintf(stderr, "kennel: --%s must be an integer from %" PRId64 " to %" PRId64 "\n", name,
                min, max);
        return false;
    }
    *ret = value;
    return true;
}
