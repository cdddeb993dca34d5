#!/usr/bin/env bash
# What a container does (docs/deploy.md):
#   job [OPTION…]     pull the remote state → main.py OPTION… → push the state, also after a failure; what goes without a word
#   worker [OPTION…]  the same again and again, at PDP_SCHEDULE (the five fields of cron)
#   web, api          the dashboard or the API; with a remote state it is pulled first, and again every PDP_REFRESH_MINUTES
#   health            whether what this container runs answers; asked by HEALTHCHECK
#   bash, sh, python  just that
#   any other word    a command of main.py: status, plan, doctor, state show …
# PDP_SYNC: no leaves the remote state alone, for containers that share a job's data root; required refuses to do without one.
# Exit codes are those of main.py: 0 done · 1 failed · 2 usage or settings · 75 try again, which is also what a run that
# succeeded ends with when its state could not be pushed · 130 or 143 stopped.
set -uo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 2

python="${PDP_PYTHON:-python}"
data="${DATA_DIR:-data}"
role_file="${TMPDIR:-/tmp}/pdp-role"
rounds=3 # runs of one job: a push that merged another job's state is followed by one more

say() { printf '%s\n' "$*" >&2; }

# Whether there is a remote state to keep in step with; what cannot be told ends the container, never runs without it.
state_is_remote() {
  [[ "${PDP_SYNC:-yes}" != no ]] || return 1
  "$python" -m scripts.entrypoint remote
  case $? in
    0) return 0 ;;
    3) if [[ "${PDP_SYNC:-yes}" != required ]]; then return 1; fi ;;
    *) exit 2 ;;
  esac
  say "No remote state is set, and PDP_SYNC says that there must be one."
  say "Set STATE_URL (docs/state.md), or PDP_SYNC=yes to run on what is in $data alone."
  exit 2
}

need_data_root() {
  if ! mkdir -p "$data" || [[ ! -w "$data" ]]; then
    say "The data root $data cannot be written by uid $(id -u)."
    say "Mount a volume there that belongs to it: chown $(id -u) FOLDER, or name another one by DATA_DIR."
    exit 2
  fi
}

# --- a job: what it starts runs in the background, so that a signal is heard at once and passed on ---
child=''
signal='' # the last one that was heard; empty: none
shielded=''

hear() {
  signal="$1"
  if [[ -n "$child" && -z "$shielded" ]]; then kill -TERM "$child" 2>/dev/null; fi
}

# main.py's exit code, once it has ended by itself; a `wait` that a signal has cut short is waited again.
run_child() {
  local code heard
  "$python" main.py "$@" &
  child=$!
  if [[ -n "$signal" && -z "$shielded" ]]; then kill -TERM "$child" 2>/dev/null; fi # it came just now
  while true; do
    heard="$signal"
    signal=''
    wait "$child"
    code=$?
    [[ -n "$signal" ]] || break
  done
  signal="$heard"
  child=''
  return "$code"
}

# Push; sets `merged` when another job's state had to be taken in.
push() {
  local said code
  said="$(mktemp)"
  merged=''
  shielded=yes # half a push is harmless and a whole one saves the run: what time is left is its own
  run_child state push --json >"$said"
  code=$?
  shielded=''
  if [[ $code -eq 0 ]] && grep -q '"merged": *true' "$said"; then merged=yes; fi
  rm -f "$said"
  return "$code"
}

job() {
  local code pushed=0 round remote=''
  trap 'hear TERM' TERM
  trap 'hear INT' INT
  if state_is_remote; then remote=yes; fi
  if [[ -n "$remote" ]]; then
    run_child state pull >&2
    code=$?
    if [[ $code -ne 0 ]]; then
      say "The state could not be pulled: nothing was run."
      stop_if_told
      exit "$code"
    fi
    "$python" -m scripts.entrypoint sources || exit 2
  fi
  for ((round = 1; round <= rounds; round++)); do
    stop_if_told
    run_child "$@"
    code=$?
    if [[ "${RETENTION:-{\}}" != '{}' && -z "$signal" ]]; then run_child erase --expired --yes >&2 || code=$((code == 0 ? 1 : code)); fi
    [[ -n "$remote" ]] || break
    push
    pushed=$?
    if [[ $pushed -ne 0 || -z "$merged" || -n "$signal" ]]; then break; fi
    say "Another job had pushed meanwhile; both are merged. Once more, for what only the two together need."
  done
  if [[ $pushed -ne 0 ]]; then
    say "The state could not be pushed: what this run made is in $data only."
    if [[ $code -eq 0 ]]; then code=$((pushed == 2 ? 2 : 75)); fi
  fi
  if [[ $code -eq 143 && "$signal" == INT ]]; then code=130; fi
  exit "$code"
}

stop_if_told() {
  case "$signal" in
    TERM) exit 143 ;;
    INT) exit 130 ;;
  esac
}

# --- what answers browsers ---
secrets() {
  [[ -n "${DASHBOARD_SECRETS_TOML:-}" ]] || return 0
  mkdir -p "$HOME/.streamlit"
  printf '%s\n' "$DASHBOARD_SECRETS_TOML" >"$HOME/.streamlit/secrets.toml"
  unset DASHBOARD_SECRETS_TOML
}

fresh_state() {
  state_is_remote || return 0
  "$python" main.py state pull >&2 || say "The state could not be pulled: this shows what was there before, until the next try."
  (while sleep "${PDP_REFRESH_MINUTES:-15}m" && kill -0 "$$" 2>/dev/null; do "$python" main.py state pull >/dev/null; done) &
}

serve() { # dashboard|api PORT OPTION…
  local what="$1" port="$2"
  shift 2
  fresh_state
  exec "$python" main.py serve "$what" --host "${PDP_HOST:-0.0.0.0}" --port "$port" "$@"
}

worker() {
  local sync=()
  if state_is_remote; then sync=(--sync); fi
  exec "$python" main.py --schedule "${PDP_SCHEDULE:-17 */6 * * *}" "${sync[@]}" "$@"
}

health() {
  local role='' port='' path
  read -r role port 2>/dev/null <"$role_file"
  case "$role" in
    web) path=/_stcore/health ;;
    api) path=/health ;;
    *) exit 0 ;; # it runs, or nobody could ask
  esac
  exec "$python" -c 'import http.client, sys
asked = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=8)
asked.request("GET", sys.argv[2])
sys.exit(asked.getresponse().status != 200)' "$port" "$path" 2>/dev/null
}

role="${1:-job}"
if [[ $# -gt 0 ]]; then shift; fi
case "$role" in
  health) health ;;
  bash | sh | python) exec "$role" "$@" ;;
  job | worker)
    need_data_root
    printf '%s\n' "$role" >"$role_file"
    "$role" "$@"
    ;;
  web)
    need_data_root
    secrets
    printf 'web %s\n' "${PORT:-8501}" >"$role_file"
    serve dashboard "${PORT:-8501}" "$@"
    ;;
  api)
    need_data_root
    printf 'api %s\n' "${PORT:-8000}" >"$role_file"
    serve api "${PORT:-8000}" "$@"
    ;;
  *) exec "$python" main.py "$role" "$@" ;;
esac
