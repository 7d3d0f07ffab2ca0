#!/bin/sh
# The alerts: every metric that they name is one of kenneld's, and promtool shows which of them fire when.
set -eu
source=${KENNEL_SOURCE:?}
rules=$source/deploy/prometheus
for metric in $(grep -o 'kennel_[a-z_]*' "$rules/alerts.yml" | sort -u); do
    grep -rqF "\"${metric%_bucket}\"" "$source/api" "$source/daemon" --include='*.c' ||
        { echo "failed: alerts.yml names $metric, which kenneld does not count"; exit 1; }
done
command -v promtool >/dev/null || { echo "skipped: promtool is not installed"; exit 77; }
cd "$rules"
promtool check rules alerts.yml
promtool test rules alerts_test.yml
