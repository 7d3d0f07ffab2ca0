/* mix.h -- mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019) on a batch.
 *
 * Each picture is mixed with the one before it (the first with the last), all by the same share,
 * as in torchvision's reference; the targets are mixed by the share that the pixels really got.
 * With both on, each batch gets one of them, half and half.
 * Invariant: a function of the batch and (seed, epoch, step). Threads: any; one owner a batch. */
#ifndef KENNEL_MIX_H
#define KENNEL_MIX_H

#include "data/augment.h"

/* pictures [count][3][size][size] and targets [count][classes], changed in place. spare: room for
 * one picture and one target, whichever is larger. Nothing when a->mixup and a->cutmix are 0 or
 * count is below 2. */
void mix_batch(const struct augment *a, uint64_t seed, uint64_t epoch, uint64_t step, int count,
               int size, int classes, float *pictures, float *targets, float *spare);

#endif
