/* command.h -- what every command of the client has, and how it ends. */
#ifndef KENNEL_CLIENT_COMMAND_H
#define KENNEL_CLIENT_COMMAND_H

#include "api/client/args.h"

#include <stdbool.h>

struct http;

/* Exit statuses; scripts rely on them. */
enum outcome {
    DONE = 0,
    USAGE = 2,
    REJECTED = 3, /* by the gate: a job, or a promotion */
    FAILED = 4,
    UNREACHABLE = 5,
};

struct client {
    struct http *http;
    bool json; /* print the server's JSON unchanged */
};

struct command {
    const char *noun, *verb;  /* verb NULL: the noun alone */
    const char *usage;        /* positional arguments, for --help */
    int min, max;             /* how many; max -1: any number */
    const struct flag *flags; /* ends with an empty row; may be NULL */
    enum outcome (*run)(struct client *c, const struct args *a);
    const char *help;
};

/* One table a file, each ended by an empty row. */
extern const struct command commands_status[];
extern const struct command commands_api[];
extern const struct command commands_watch[];
extern const struct command commands_dataset[];
extern const struct command commands_backbone[];
extern const struct command commands_explain[];
extern const struct command commands_model[];
extern const struct command commands_job[];
extern const struct command commands_events[];
extern const struct command commands_webhook[];
extern const struct command commands_schedule[];
extern const struct command commands_version[];
extern const struct command commands_promotion[];
extern const struct command commands_alias[];
extern const struct command commands_rollout[];
extern const struct command commands_feedback[];
extern const struct command commands_score[];
extern const struct command commands_follower[];
extern const struct command commands_key[];
extern const struct command commands_lineage[];
extern const struct command commands_backup[];
extern const struct command commands_retention[];
extern const struct command commands_completion[];

/* All of them, ended by NULL, and the options of every command: in main.c. */
extern const struct command *const command_tables[];
extern const struct flag global_flags[];

#endif
