/* classifier.h -- a trained model version: an ONNX file that answers with labels.
 *
 * The file is what retrain wrote (backbone + head, labels and preprocessing in
 * metadata_props), computed in the precision that it says (nn/precision.h). A classifier is
 * immutable and shared; each thread scores with its own scratch; nothing allocates per picture in
 * steady state. Threads: classifier_score() any number at once, one per scratch. */
#ifndef KENNEL_CLASSIFIER_H
#define KENNEL_CLASSIFIER_H

#include "data/image.h"
#include "nn/backbone.h"

/* metadata_props of a model version; values are text, labels a JSON array. Beside these are the
 * keys of nn/preprocess_meta.h and nn/precision.h. No time, job or version number is among them:
 * equal training gives equal bytes. */
#define CLASSIFIER_META_LABELS "kennel.labels"
#define CLASSIFIER_META_BACKBONE "kennel.backbone_digest"
/* Where the body was trained: names its numbers. Else it is that of the backbone. */
#define CLASSIFIER_META_BODY "kennel.body_digest"
#define CLASSIFIER_META_FEATURE "kennel.feature_tensor"
#define CLASSIFIER_META_DATASET "kennel.dataset_digest"
#define CLASSIFIER_META_RECIPE "kennel.recipe"
#define CLASSIFIER_META_SEED "kennel.seed"
#define CLASSIFIER_META_ENGINE "kennel.engine"

struct classifier;
struct classifier_scratch;

enum err_code classifier_load(const void *bytes, size_t len, struct classifier **ret, struct err *e)
    MUST_USE;
void classifier_free(struct classifier *c);

int classifier_classes(const struct classifier *c);
/* [classes] borrowed texts, in the order of the probabilities. */
const char *const *classifier_labels(const struct classifier *c);
const struct preprocess *classifier_preprocess(const struct classifier *c);
/* The ONNX file's names of the image input [N,3,size,size] and of the probabilities [N,classes].
 * Borrowed. */
const char *classifier_input(const struct classifier *c);
const char *classifier_output(const struct classifier *c);
/* Bytes held by the classifier and by one scratch, but for small change. */
size_t classifier_bytes(const struct classifier *c);
size_t classifier_scratch_bytes(const struct classifier *c);

enum err_code classifier_scratch_new(const struct classifier *c, struct classifier_scratch **ret,
                                     struct err *e) MUST_USE;
void classifier_scratch_free(struct classifier_scratch *s);

/* A JPEG or PNG -> probabilities [classes]. Errors as image_decode(), ERR_DNN. */
enum err_code classifier_score(const struct classifier *c, struct classifier_scratch *s,
                               const void *bytes, size_t len, const struct image_limits *limits,
                               float *ret, struct err *e) MUST_USE;
/* The same from what preprocessing makes of a picture: [3][size][size], of any alignment.
 * ERR_TENSOR_DATA when a number going in or coming out is not finite. */
enum err_code classifier_score_tensor(const struct classifier *c, struct classifier_scratch *s,
                                      const void *tensor, float *ret, struct err *e) MUST_USE;
/* The same in its two steps, with the picture in the scratch between them. */
enum err_code classifier_decode(const struct classifier *c, struct classifier_scratch *s,
                                const void *bytes, size_t len, const struct image_limits *limits,
                                struct err *e) MUST_USE;
enum err_code classifier_run(const struct classifier *c, struct classifier_scratch *s, float *ret,
                             struct err *e) MUST_USE;

struct learner;
/* As classifier_export(), of what a learner holds; labels [count]. */
enum err_code classifier_export_trained(const struct backbone *b, const struct learner *l,
                                        const char *const *labels, int count,
                                        const struct network_meta_pair *extra, size_t extra_count,
                                        struct buf *ret, struct err *e) MUST_USE;

/* Appends the file. labels [head classes]. Metadata: labels, backbone, feature and preprocessing,
 * then the extra pairs (the rest of the lineage) in their order. */
struct head;
enum err_code classifier_export(const struct backbone *b, const struct head *h,
                                const char *const *labels, const struct network_meta_pair *extra,
                                size_t extra_count, struct buf *ret, struct err *e) MUST_USE;

#endif
