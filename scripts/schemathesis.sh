#!/usr/bin/env bash
# Asks a running demo hospital what its OpenAPI document allows, and what it does not, as an administrator, a doctor and
# a patient, with schemathesis 4 (https://schemathesis.io). Debian has no package of it, so this is optional: `make
# test` checks the same with requests of its own (tests/src/hospital/contract).
#
#   hims serve --demo        in another terminal; the demo is not to be used for anything else afterwards
#   HIMS_REFUSALS_PER_MINUTE=1000000 and HIMS_FREE_WRONG_PASSWORDS=1000000 keep the server from pausing the requests
#   scripts/schemathesis.sh [arguments of `schemathesis run`]
set -euo pipefail

url=${HIMS_URL:-http://127.0.0.1:8080}
command -v schemathesis >/dev/null || { echo "install schemathesis first, such as with pipx" >&2; exit 1; }

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
cat >schemathesis.toml <<'CONFIGURATION'
[auth.openapi.bearer]
bearer = "${HIMS_TOKEN}"

# 503 is the answer of a server that is behind the position which a request names.
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
CONFIGURATION

failed=0
for login in admin doctor patient; do
    echo "== as $login"
    body="{\"email\": \"$login@demo.hims\", \"password\": \"demo-hims-2026\"}"
    answer=$(curl --silent --show-error --json "$body" "$url/api/v1/sessions")
    HIMS_TOKEN=$(sed -n 's/.*"token": *"\([^"]*\)".*/\1/p' <<<"$answer")
    [ -n "$HIMS_TOKEN" ] || { echo "the hospital gives no session: $answer" >&2; exit 1; }
    export HIMS_TOKEN
    # Streams of events do not end, and whoever logs out is not answered any more: schemathesis tries each method.
    schemathesis run "$url/api/v1/openapi.json" --seed 13 --max-examples 10 --no-shrink --continue-on-failure \
        --phases examples,coverage,fuzzing --request-timeout 10 --warnings off --suppress-health-check all \
        --checks not_a_server_error,status_code_conformance,content_type_conformance \
        --checks response_schema_conformance,response_headers_conformance \
        --exclude-path-regex '/stream$' --exclude-path /api/v1/sessions/current "$@" || failed=1
done
exit "$failed"
