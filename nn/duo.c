/* The word counts offers: 2k offer k is open, 2k+1 somebody has it. Only who has moved it from 2k
 * to 2k+1 does the piece, and the owner opens k+1 only when k is done, so a companion that wakes
 * late finds another number and touches nothing. */
#include "nn/duo.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_NS = 10000, LOOKS_BETWEEN_CLOCKS = 32 };

struct duo {
    void (*share)(void *context, int piece);
    void *context;
    pthread_t thread;
    _Alignas(64) _Atomic uint32_t word;
    int piece;                          /* of the open offer; written before word is */
    _Alignas(64) _Atomic uint32_t done; /* the last offer that the companion finished */
    _Alignas(64) atomic_bool asleep;    /* the companion sleeps on word */
    atomic_bool waiting;                /* the owner sleeps on done */
    atomic_bool stop;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void relax(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Does *word leave the value seen within LOOK_NS? */
static bool changes_soon(_Atomic uint32_t *word, uint32_t seen)
{
    int64_t until = now_ns() + LOOK_NS;
    do {
        for (int i = 0; i < LOOKS_BETWEEN_CLOCKS; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != seen)
                return true;
            relax();
        }
    } while (now_ns() < until);
    return false;
}

static bool take(struct duo *d, uint32_t offer)
{
    return atomic_compare_exchange_strong(&d->word, &offer, offer + 1);
}

static void sleep_on_word(struct duo *d, uint32_t seen)
{
    atomic_store(&d->asleep, true);
    if (atomic_load(&d->word) == seen && !atomic_load(&d->stop))
        futex_wait(&d->word, seen);
    atomic_store(&d->asleep, false);
}

static void *companion(void *context)
{
    struct duo *d = context;
    uint32_t seen = 1; /* no offer */
    while (!atomic_load(&d->stop)) {
        uint32_t word = atomic_load_explicit(&d->word, memory_order_acquire);
        if (word % 2 == 0 && take(d, word)) {
            d->share(d->context, d->piece);
            atomic_store(&d->done, word);
            if (atomic_exchange(&d->waiting, false))
                futex_wake(&d->done);
            seen = word + 1;
        } else {
            seen = word;
        }
        if (atomic_load_explicit(&d->word, memory_order_acquire) == seen &&
            !changes_soon(&d->word, seen))
            sleep_on_word(d, seen);
    }
    return NULL;
}

enum err_code duo_new(void (*share)(void *context, int piece), void *context, struct duo **ret,
                      struct err *e)
{
    struct duo *d = aligned_alloc(64, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for a second thread");
    memset(d, 0, sizeof *d);
    d->share = share;
    d->context = context;
    atomic_init(&d->word, 1);
    atomic_init(&d->done, 1);
    int failed = pthread_create(&d->thread, NULL, companion, d);
    if (failed) {
        free(d);
        return err_errno(e, failed, "cannot start a second thread for a plan");
    }
    pthread_setname_np(d->thread, "kennel-duo");
    *ret = d;
    return ERR_OK;
}

void duo_free(struct duo *d)
{
    if (!d)
        return;
    atomic_store(&d->stop, true);
    atomic_fetch_add(&d->word, 2); /* an odd number still: no offer, but it wakes */
    futex_wake(&d->word);
    pthread_join(d->thread, NULL);
    free(d);
}

void duo_offer(struct duo *d, int piece)
{
    d->piece = piece;
    atomic_fetch_add(&d->word, 1);
    if (atomic_exchange(&d->asleep, false))
        futex_wake(&d->word);
}

void duo_finish(struct duo *d)
{
    uint32_t word = atomic_load(&d->word), offer = word - word % 2;
    if (word == offer && take(d, offer)) {
        d->share(d->context, d->piece);
        return;
    }
    uint32_t done;
    while ((done = atomic_load(&d->done)) != offer) {
        if (changes_soon(&d->done, done))
            continue;
        atomic_store(&d->waiting, true);
        if (atomic_load(&d->done) == done)
            futex_wait(&d->done, done);
        atomic_store(&d->waiting, false);
    }
}
