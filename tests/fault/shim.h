/* shim.h -- what a test that runs under the shim (LD_PRELOAD) can ask of it.
 *
 * The functions are weak: NULL when the program runs without the shim. See README.md.
 * Threads: arm and disarm while nothing else runs; the counting itself is safe. */
#ifndef KENNEL_FAULT_SHIM_H
#define KENNEL_FAULT_SHIM_H

#include <stdbool.h>

/* Counts from now on; spec as in KENNEL_FAULT. False when it cannot be understood. */
__attribute__((weak)) bool fault_arm(const char *spec);
/* Nothing fails any more. True when the fault has struck since it was armed. */
__attribute__((weak)) bool fault_disarm(void);
/* Blocks allocated minus blocks freed since fault_arm(). */
__attribute__((weak)) long fault_live(void);

#endif
