/* kennel -- the command line of the server: finds the command, reads its options, runs it. */
#include "api/client/command.h"
#include "api/client/http.h"
#include "data/base/file.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 4096 };

const struct flag global_flags[] = {
    { "url", "URL", "of the server; default $KENNEL_URL or http://127.0.0.1:5001" },
    { "key-file", "FILE", "holds the API key; default $KENNEL_KEY, the key itself" },
    { "ca", "FILE", "PEM authorities to trust instead of the system's; default $KENNEL_CA" },
    { "json", NULL, "print the server's JSON unchanged" },
    { "help", NULL, "print help for the command and exit" },
    { "version", NULL, "print the version and exit" },
    { 0 },
};

const struct command *const command_tables[] = {
    commands_status,   commands_dataset,  commands_backbone,   commands_model,
    commands_explain,  commands_job,      commands_version,    commands_promotion,
    commands_alias,    commands_events,   commands_webhook,    commands_schedule,
    commands_score,    commands_key,      commands_lineage,    commands_rollout,
    commands_feedback, commands_follower, commands_backup,     commands_retention,
    commands_api,      commands_watch,    commands_completion, NULL,
};

static void print_flags(FILE *to, const struct flag *flags)
{
    for (; flags && flags->name; flags++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", flags->name, flags->value ? " " : "",
                 flags->value ? flags->value : "");
        fprintf(to, "  %-28s %s\n", left, flags->help);
    }
}

static void print_line(FILE *to, const struct command *c)
{
    char left[64];
    snprintf(left, sizeof left, "%s%s%s %s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
             c->usage);
    fprintf(to, "  %-36s %s\n", left, c->help);
}

/* noun NULL: all. */
static void print_lines(FILE *to, const char *noun)
{
    for (const struct command *const *table = command_tables; *table; table++)
        for (const struct command *c = *table; c->noun; c++)
            if (!noun || strcmp(noun, c->noun) == 0)
                print_line(to, c);
}

static void print_help(FILE *to, const char *noun)
{
    fprintf(to, "Usage: kennel COMMAND [OPTION...]\n\n");
    print_lines(to, noun);
    fprintf(to, "\nOptions of every command:\n");
    print_flags(to, global_flags);
    if (!noun)
        fprintf(to, "\nExit status: 0 done, 2 usage, 3 rejected by the gate, 4 failed, "
                    "5 unreachable.\n");
}

static void print_command_help(FILE *to, const struct command *c)
{
    fprintf(to, "Usage: kennel %s%s%s %s [OPTION...]\n\n%s.\n\n", c->noun, c->verb ? " " : "",
            c->verb ? c->verb : "", c->usage, c->help);
    print_flags(to, c->flags);
    print_flags(to, global_flags);
}

/* Options of every command may stand before it. */
static bool takes_value(const char *word)
{
    for (const struct flag *f = global_flags; f->name; f++)
        if (f->value && strncmp(word, "--", 2) == 0 && strcmp(word + 2, f->name) == 0)
            return true;
    return false;
}

/* Words that are neither options nor their values: at most the first two name a command. */
static int find_words(int argc, char **argv, int at[2])
{
    int n = 0;
    for (int i = 1; i < argc && n < 2; i++) {
        if (takes_value(argv[i]))
            i++;
        else if (strncmp(argv[i], "--", 2) != 0)
            at[n++] = i;
        else if (n == 1)
            break;
    }
    return n;
}

static const struct command *find_command(const char *noun, const char *verb, bool *ret_noun)
{
    *ret_noun = false;
    for (const struct command *const *table = command_tables; *table; table++)
        for (const struct command *c = *table; c->noun; c++) {
            if (strcmp(c->noun, noun) != 0)
                continue;
            *ret_noun = true;
            if (!c->verb || (verb && strcmp(c->verb, verb) == 0))
                return c;
        }
    return NULL;
}

/* The flag, else what is not empty in the environment, else NULL. */
static const char *option(const struct args *a, const char *flag, const char *variable)
{
    const char *value = args_flag(a, flag);
    if (!value)
        value = getenv(variable);
    return value && value[0] ? value : NULL;
}

/* Leaves ret empty when there is none. A key is not taken from the command line, which others on
 * the machine can read. */
static bool read_key(const struct args *a, struct buf *ret)
{
    struct err e;
    const char *path = args_flag(a, "key-file"), *key = getenv("KENNEL_KEY");
    enum err_code code = ERR_OK;
    if (path)
        code = file_read(path, ret, &e);
    else if (key)
        code = buf_append(ret, key, strlen(key), &e);
    if (code)
        fprintf(stderr, "kennel: %s\n", e.message);
    else if (ret->data)
        ret->len = strcspn((char *)ret->data, " \t\r\n");
    if (ret->data)
        ret->data[ret->len] = 0;
    return !code;
}

static enum outcome run(const struct command *command, int argc, char **argv)
{
    struct args a;
    struct buf key;
    enum outcome outcome = USAGE;
    buf_init(&key, KEY_BYTES_MAX);
    if (!args_parse(argc, argv, global_flags, command->flags, &a)) {
        outcome = USAGE;
    } else if (args_has(&a, "help")) {
        print_command_help(stdout, command);
        outcome = DONE;
    } else if (a.count < command->min || (command->max >= 0 && a.count > command->max)) {
        fprintf(stderr, "Usage: kennel %s%s%s %s\n", command->noun, command->verb ? " " : "",
                command->verb ? command->verb : "", command->usage);
    } else if (read_key(&a, &key)) {
        const char *url = option(&a, "url", "KENNEL_URL");
        struct client c = { .http = http_new(url ? url : "http://127.0.0.1:5001",
                                             key.len ? (const char *)key.data : NULL,
                                             option(&a, "ca", "KENNEL_CA")),
                            .json = args_has(&a, "json") };
        if (c.http)
            outcome = command->run(&c, &a);
        else
            fprintf(stderr, "kennel: out of memory\n");
        http_free(c.http);
    }
    buf_fini(&key);
    args_fini(&a);
    return outcome;
}

static bool has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

/* Takes the command's own words out of argv, so that options and arguments are left. */
static int drop(int argc, char **argv, int at)
{
    memmove(argv + at, argv + at + 1, (size_t)(argc - at) * sizeof *argv);
    return argc - 1;
}

/* What there is of that noun, so that the message is still to be seen above it. */
static void print_unknown(const char *noun, bool known, const char *verb)
{
    if (!known) {
        fprintf(stderr, "kennel: no command \"%s\" (see kennel --help)\n", noun);
        return;
    }
    if (verb)
        fprintf(stderr, "kennel: no command \"%s %s\"; there are\n", noun, verb);
    else
        fprintf(stderr, "kennel: \"%s\" alone is no command; there are\n", noun);
    print_lines(stderr, noun);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    int at[2] = { 0 };
    int words = find_words(argc, argv, at);
    if (!words && has_word(argc, argv, "--version")) {
        printf("kennel %s\n", KENNEL_VERSION);
        return DONE;
    }
    if (!words) {
        bool wanted = has_word(argc, argv, "--help");
        print_help(wanted ? stdout : stderr, NULL);
        return wanted ? DONE : USAGE;
    }
    bool known = false;
    const char *noun = argv[at[0]];
    const struct command *command = find_command(noun, words > 1 ? argv[at[1]] : NULL, &known);
    if (!command && known && has_word(argc, argv, "--help")) {
        print_help(stdout, noun);
        return DONE;
    }
    if (!command) {
        print_unknown(noun, known, words > 1 ? argv[at[1]] : NULL);
        return USAGE;
    }
    if (command->verb)
        argc = drop(argc, argv, at[1]);
    argc = drop(argc, argv, at[0]);
    enum outcome outcome = run(command, argc - 1, argv + 1);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "kennel: cannot write to standard output\n");
        return FAILED;
    }
    return (int)outcome;
}
