#!/bin/sh
# The chart on a real cluster: install, helm test, scale, upgrade under traffic without a lost request, rollback,
# uninstall. Slow, and it wants a cluster: skipped unless KENNEL_KUBECONFIG names one, KENNEL_IMAGE an image that its nodes
# have (NAME:TAG), and KENNEL_DEPLOY_TOOLS what tools.sh fetched.
set -eu
cd "$(dirname "$0")/../.."
[ -n "${KENNEL_KUBECONFIG:-}" ] || { echo "skipped: no KENNEL_KUBECONFIG"; exit 77; }
: "${KENNEL_IMAGE:?an image that the nodes have}" "${KENNEL_DEPLOY_TOOLS:?see tools.sh}"
export KUBECONFIG="$KENNEL_KUBECONFIG"
helm=$KENNEL_DEPLOY_TOOLS/v32/helm/helm
kubectl=$KENNEL_DEPLOY_TOOLS/v32/kubectl/kubectl
space=kennel-test-$$
chart=deploy/helm/kennel
folder=$(mktemp -d)
traffic=
cleanup() {
    [ -z "$traffic" ] || kill "$traffic" 2>/dev/null || true
    $helm -n $space uninstall ring >/dev/null 2>&1 || true
    $kubectl delete namespace $space --timeout 60s >/dev/null 2>&1 || true
    $kubectl delete persistentvolume $space --wait=false >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap cleanup EXIT
fail() { echo "failed: $*"; $kubectl -n $space get pods,events 2>/dev/null | tail -n 30; exit 1; }
say() { echo "== $(date -u +%T) $*"; }
address() { $kubectl -n $space get service "$1" -o jsonpath='{.spec.clusterIP}'; }

$kubectl version 2>/dev/null || true
$kubectl create namespace $space
# Where nothing provides volumes, a folder of the node is one.
if [ -z "$($kubectl get storageclasses -o name)" ]; then
    chmod 777 "$folder"
    mkdir -m 777 "$folder/state"
    $kubectl apply -f - <<END
apiVersion: v1
kind: PersistentVolume
metadata: {name: $space}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: $folder/state}
  claimRef: {namespace: $space, name: state-ring-kennel-trainer-0}
END
fi
chart() { # COMMAND OPTION...
    command=$1
    shift
    $helm -n $space "$command" ring $chart --set image.repository="${KENNEL_IMAGE%:*}" --set image.tag="${KENNEL_IMAGE##*:}" \
        --set image.pullPolicy=Never --set trainer.persistence.size=1Gi --set trainer.resources.requests.cpu=50m \
        --set scorers.enabled=true --set scorers.resources.requests.cpu=50m --wait --timeout 5m "$@"
}
say install
chart install --set autoscaling.enabled=false
$kubectl -n $space get pods,services,poddisruptionbudgets,persistentvolumeclaims

KENNEL_KEY=$($kubectl -n $space get secret ring-kennel-keys -o jsonpath='{.data.admin}' | base64 -d)
KENNEL_URL=http://$(address ring-kennel-trainer)
export KENNEL_KEY KENNEL_URL
say "a model"
"$KENNEL" backbone add tests/unit/nn/tiny.onnx --name tiny >/dev/null
"$KENNEL" dataset create parts >/dev/null
"$KENNEL_RENDER" surface --count 120 --size 64 | "$KENNEL" dataset import parts -
"$KENNEL" model create parts --dataset parts --backbone tiny >/dev/null
"$KENNEL" retrain parts --wait || [ $? = 3 ]
"$KENNEL" promote parts 1 --force --reason "a test"
"$KENNEL_RENDER" surface --count 1 --size 64 --val 0 | tar xO >"$folder/picture.jpg"

say "helm test"
$helm -n $space test ring

# One connection a request, as fast as it goes; each that is not answered with a label is counted.
score=http://$(address ring-kennel)
( printf '{"data": "'; base64 "$folder/picture.jpg"; echo '"}') >"$folder/body"
printf 'Authorization: Bearer %s\n' "$KENNEL_KEY" >"$folder/header"
until curl -sf -H @"$folder/header" -d @"$folder/body" "$score/score" >/dev/null; do sleep 0.2; done
(
    while [ ! -e "$folder/stop" ]; do
        if curl -sS --max-time 10 -H @"$folder/header" -d @"$folder/body" "$score/score" 2>&1 | grep -q label; then
            echo yes
        else
            echo no
        fi
    done >"$folder/answers"
) &
traffic=$!

say "scale to 3 and back to 2"
chart upgrade --set scorers.replicas=3
[ "$($kubectl -n $space get deployment ring-kennel-scorer -o jsonpath='{.status.readyReplicas}')" = 3 ] || fail "not three"
chart upgrade --set scorers.replicas=2
$kubectl -n $space get pods
say "an autoscaler, which this Kubernetes takes"
chart upgrade --set scorers.replicas=2 --set autoscaling.enabled=true --set networkPolicy.enabled=true
$kubectl -n $space get horizontalpodautoscalers,networkpolicies
say "upgrade, which changes every pod"
chart upgrade --set scorers.replicas=2 --set scorers.config.score-threads=1 --set trainer.config.threads=1
$kubectl -n $space get configmap ring-kennel-scorer -o jsonpath='{.data}' | grep -q score-threads || fail "not upgraded"
say rollback
$helm -n $space rollback ring --wait --timeout 5m
$kubectl -n $space get configmap ring-kennel-scorer -o jsonpath='{.data}' | grep -q score-threads && fail "not rolled back"
$helm -n $space history ring
touch "$folder/stop"
wait "$traffic"
traffic=
yes=$(grep -c yes "$folder/answers") no=$(grep -c no "$folder/answers" || true)
say "$yes requests answered, $no lost"
[ "$no" = 0 ] || fail "lost requests"
[ "$yes" -gt 50 ] || fail "too little traffic to tell"

say uninstall
$helm -n $space uninstall ring --wait
# The pods go when what they have begun is answered.
end=$(($(date +%s) + 120))
while left=$($kubectl -n $space get all,secrets,configmaps,networkpolicies,horizontalpodautoscalers,poddisruptionbudgets \
    -l app.kubernetes.io/instance=ring -o name) && [ -n "$left" ]; do
    [ "$(date +%s)" -lt $end ] || fail "left $left"
    sleep 1
done
$kubectl -n $space get persistentvolumeclaims
say "nothing left"
