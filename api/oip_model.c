#include "api/oip_model.h"

#include "api/score_batch.h"
#include "api/tensors.h"

/* Either input is enough; there is no way to say so here. */
json_t *oip_model_metadata(const struct serve_ref *ref, json_t *versions)
{
    const struct tensors t = tensors_of(ref, 0);
    return json_pack("{s:s, s:o, s:s, s:[{s:s, s:s, s:[i]}, {s:s, s:s, s:[i, i, i, i]}],"
                     " s:[{s:s, s:s, s:[i, i]}]}",
                     "name", serve_ref_model(ref), "versions", versions, "platform", "onnx_onnxv1",
                     "inputs", "name", TENSORS_PICTURES, "datatype", "BYTES", "shape", -1, "name",
                     t.input, "datatype", "FP32", "shape", -1, 3, t.size, t.size, "outputs", "name",
                     t.output, "datatype", "FP32", "shape", -1, t.classes);
}

/* The members of Triton's ModelConfig that clients ask for; its dims leave the batch out. */
json_t *oip_model_config(const struct serve_ref *ref)
{
    const struct tensors t = tensors_of(ref, 0);
    json_t *inputs =
        json_pack("[{s:s, s:s, s:s, s:[i], s:b}, {s:s, s:s, s:s, s:[i, i, i], s:b}]", "name",
                  TENSORS_PICTURES, "data_type", "TYPE_STRING", "format", "FORMAT_NONE", "dims", 1,
                  "optional", 1, "name", t.input, "data_type", "TYPE_FP32", "format", "FORMAT_NCHW",
                  "dims", 3, t.size, t.size, "optional", 1);
    json_t *outputs = json_pack("[{s:s, s:s, s:[i]}]", "name", t.output, "data_type", "TYPE_FP32",
                                "dims", t.classes);
    return json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "name", serve_ref_model(ref), "platform",
                     "onnx_onnxv1", "backend", "kennel", "max_batch_size", SCORE_BATCH_MAX, "input",
                     inputs, "output", outputs);
}
