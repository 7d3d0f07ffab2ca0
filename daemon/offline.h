/* offline.h -- what kenneld does with a state folder while no daemon has it: its subcommands.
 *
 * Each is a main() of its own, argv[0] being its name, and returns the exit status.
 * Threads: the process has no other. */
#ifndef KENNEL_OFFLINE_H
#define KENNEL_OFFLINE_H

/* fsck --state DIR: 0 clean, 4 damaged, 1 when it could not be checked, 2 usage. */
int offline_fsck(int argc, char **argv);
/* restore --state DIR FILE: 0 done, 4 refused or failed, and then nothing is in DIR; 2 usage. FILE
 * may be "-". */
int offline_restore(int argc, char **argv);

#endif
