/* recipe_defaults.h -- private to recipe: what a recipe says of itself where a request says
 * nothing.
 *
 * Threads: any; plain data. */
#ifndef KENNEL_RECIPE_DEFAULTS_H
#define KENNEL_RECIPE_DEFAULTS_H

#include "nn/recipe.h"

/* All of *r by the mode (enum recipe_mode) and the preset. */
void recipe_set_defaults(struct recipe *r, int mode, int preset);
/* Views where they are not said, once all else is: they depend on augment, preset and epochs. */
int64_t recipe_usual_views(const struct recipe *r);

#endif
