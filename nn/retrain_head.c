/* The head that is fitted on features. */
#include "nn/retrain_parts.h"

enum { BALANCE_RATIO = 2 };

static bool tell_fit(void *context, int done, int total)
{
    return retrain_tell(context, (size_t)done, (size_t)total);
}

bool retrain_is_balanced(const struct retrain *run)
{
    const struct recipe *recipe = &run->spec->recipe;
    return recipe->balanced_auto ? run->set.largest > BALANCE_RATIO * run->set.smallest
                                 : recipe->balanced;
}

enum err_code retrain_fit_head(struct retrain *run, const float *x, const int *y, const int *group,
                               size_t rows, struct err *e)
{
    const struct recipe *recipe = &run->spec->recipe;
    struct head_options o;
    struct head head;
    run->balanced = retrain_is_balanced(run);
    head_options_default(&o);
    o.folds = (int)recipe->folds;
    o.balanced = run->balanced;
    o.threads = run->spec->threads;
    o.seed = (uint64_t)run->spec->seed;
    if (recipe->penalty > 0) {
        o.penalties = &recipe->penalty;
        o.penalty_count = 1;
    }
    enum err_code r =
        head_fit(x, y, group, (int)rows, run->backbone.width, run->set.manifest.label_count, &o,
                 tell_fit, run, &head, &run->fit, e);
    if (r)
        return r;
    head_fini(&run->head);
    run->head = head;
    run->has_fit = true;
    return ERR_OK;
}
