#!/bin/sh
# Continuous integration: what would these pictures make of the model? Asked of a server that is thrown away.
# DATA: an archive, or a folder of [train|val|test/]LABEL/FILE. BACKBONE: its ONNX file. MIN_ACCURACY: on the held-out
# pictures, 0..1. RECIPE: a file or JSON.
# Ends with 3 when the version is not good enough, with 4 when there are no pictures to learn from.
set -eu
. "$(dirname "$0")/model.sh"
: "${DATA:?the pictures}" "${BACKBONE:?the ONNX file}"

"$(dirname "$0")/ready.sh"
kennel backbone add "$BACKBONE" --name "$MODEL"
kennel dataset create "$MODEL"
kennel dataset import "$MODEL" "$DATA"
kennel model create "$MODEL" --dataset "$MODEL" --backbone "$MODEL" --gate "{\"min_accuracy\": ${MIN_ACCURACY:-0}}" \
    ${RECIPE:+--recipe "$RECIPE"}
kennel retrain "$MODEL" --wait
kennel promote "$MODEL" 1
kennel status
