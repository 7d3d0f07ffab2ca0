/* Softmax cross-entropy with soft targets and class weights. */
#include "nn/learner_parts.h"

#include <math.h>

/* One row; d NULL: probabilities only. */
static double row_loss(const struct learner *l, const float *z, const float *t, float *probability,
                       float *d)
{
    int n = l->classes;
    double most = (double)z[0], sum = 0, loss = 0, weight = 0;
    for (int c = 1; c < n; c++)
        most = (double)z[c] > most ? (double)z[c] : most;
    for (int c = 0; c < n; c++)
        sum += exp((double)z[c] - most);
    for (int c = 0; c < n; c++)
        probability[c] = (float)(exp((double)z[c] - most) / sum);
    if (!d)
        return 0;
    for (int c = 0; c < n; c++) {
        double w = (double)t[c] * (l->class_weight ? (double)l->class_weight[c] : 1);
        loss += w != 0 ? w * (most + log(sum) - (double)z[c]) : 0;
        weight += w;
    }
    for (int c = 0; c < n; c++) {
        double w = (double)t[c] * (l->class_weight ? (double)l->class_weight[c] : 1);
        d[c] = (float)((weight * exp((double)z[c] - most) / sum - w) / l->weight_sum);
    }
    return loss;
}

void learner_loss(struct learner *l, const struct learner_job *j)
{
    size_t n = (size_t)l->classes;
    const float *z = learner_data(l, j, l->logits);
    float *d = l->training ? learner_gradient(l, j, l->logits) : NULL;
    for (int i = 0; i < j->count; i++) {
        size_t item = (size_t)j->item + (size_t)i, row = (size_t)i * n;
        l->item_loss[item] = row_loss(l, z + row, l->training ? l->target + item * n : NULL,
                                      l->probability + item * n, d ? d + row : NULL);
    }
}
