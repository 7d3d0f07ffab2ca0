/* process.h -- private to jobs: one worker process, its output and its end.
 *
 * The worker leads a process group of its own, with standard output on a pipe, standard error
 * shared, standard input empty, every other descriptor closed, no signal blocked or ignored.
 * It asks to be killed when the thread that started it ends (PR_SET_PDEATHSIG counts threads, not
 * processes): start it from a thread that outlives it.
 * Threads: one owner; process_kill() any, while the owner has not called process_reap(). */
#ifndef KENNEL_PROCESS_H
#define KENNEL_PROCESS_H

#include "data/base/err.h"

#include <jansson.h>
#include <sys/types.h>

struct process {
    pid_t pid;
    int output; /* the pipe's reading end */
};

enum err_code process_start(const char *executable, const char *state_dir, const char *job,
                            struct process *ret, struct err *e) MUST_USE;

/* Reads to the end of the output and calls fn for each line that is a JSON object; other
 * lines, and what is longer than 64 KiB, are dropped. line is borrowed. */
typedef void (*process_line)(void *context, const json_t *line);
void process_follow(struct process *p, process_line fn, void *context);

void process_kill(pid_t pid);
/* Waits until it has ended, without freeing its number for another process: a kill still hits
 * nobody else. */
void process_wait(const struct process *p);
/* Frees the number, closes the pipe and returns the wait status. */
int process_reap(struct process *p);

/* "it was killed by SIGKILL, probably because memory ran out", "it ended with status 1 ...". */
enum { PROCESS_END_TEXT = 160 };
void process_end_text(int status, char ret[PROCESS_END_TEXT]);

#endif
