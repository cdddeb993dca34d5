#!/usr/bin/env bats
# entrypoint.sh against a stand-in for Python that writes down what it is asked and does as it is told. Run by tests/test_entrypoint.py.
# The stand-in's orders: REMOTE, SOURCES = answers to the two questions; PULL, RUN, ERASE, PUSH = exit codes of these, one for each call
# ("75 0": first 75, then 0; the last one holds on); MERGED = what each push says of a merge; SLOW = the call that waits for a signal.

setup() {
  export LOG="$BATS_TEST_TMPDIR/log" DATA_DIR="$BATS_TEST_TMPDIR/data" TMPDIR="$BATS_TEST_TMPDIR" HOME="$BATS_TEST_TMPDIR/home"
  export PDP_PYTHON="$BATS_TEST_TMPDIR/python"
  export REMOTE=0 SOURCES=0 ERASE=0 PULL=0 RUN=0 PUSH=0 MERGED=false SLOW=none
  unset RETENTION PDP_SYNC PDP_SCHEDULE PDP_REFRESH_MINUTES PDP_HOST PORT DASHBOARD_SECRETS_TOML
  : >"$LOG"
  cat >"$PDP_PYTHON" <<'FAKE'
#!/usr/bin/env bash
nth() { # the Nth of the words, or the last
  local words=($1)
  echo "${words[$2]:-${words[-1]}}"
}
case "$*" in
  "-m scripts.entrypoint remote") exit "$REMOTE" ;;
  "-m scripts.entrypoint sources") exit "$SOURCES" ;;
  "main.py erase --expired --yes") what=ERASE ;;
  "main.py state pull"*) what=PULL ;;
  "main.py state push"*) what=PUSH ;;
  "main.py serve"* | "main.py --schedule"*) what=SERVE ;;
  *) what=RUN ;;
esac
before="$(grep -c "^$what" "$LOG")"
echo "$what $*" >>"$LOG"
if [[ "$SLOW" == "$what" ]]; then
  trap 'echo "$what was told to stop" >>"$LOG"; sleep 0.3; echo "$what drained" >>"$LOG"; exit 143' TERM
  echo "$what waits" >>"$LOG"
  for _ in $(seq 300); do sleep 0.1; if [[ -e "$LOG.go" ]]; then break; fi; done
  echo "$what went on" >>"$LOG"
fi
if [[ $what == PUSH ]]; then echo "{\"generation\": 2, \"merged\": $(nth "$MERGED" "$before"), \"bytes\": {\"up\": 1, \"down\": 0}}"; fi
if [[ $what == RUN ]]; then echo '{"run_id": "r1"}'; fi
exit "$(nth "${!what:-0}" "$before")"
FAKE
  chmod +x "$PDP_PYTHON"
  entrypoint="$BATS_TEST_DIRNAME/../entrypoint.sh"
}

asked() { cut -d' ' -f1 "$LOG" | tr '\n' ' '; }

until_logged() {
  for _ in $(seq 300); do
    if grep -q "$1" "$LOG"; then return 0; fi
    sleep 0.1
  done
  echo "never seen: $1" >&2
  return 1
}

start() { # in the background, as a container's init does
  "$entrypoint" "$@" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  pid=$!
}

serve() { # what serves leaves a process behind that pulls now and then: its output goes to a file, for `run` would wait for it
  code=0
  PDP_REFRESH_MINUTES=0.01 "$entrypoint" "$@" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- || code=$?
}

ended() { # its exit code
  code=0
  wait "$pid" || code=$?
}

@test "a job pulls, runs with the options it got, and pushes" {
  run "$entrypoint" job mi_fitness --jobs 2
  [ "$status" -eq 0 ]
  [ "$(asked)" = "PULL RUN PUSH " ]
  grep -qx "RUN main.py mi_fitness --jobs 2" "$LOG"
}

@test "without a word it is a job" {
  run "$entrypoint"
  [ "$status" -eq 0 ]
  [ "$(asked)" = "PULL RUN PUSH " ]
}

@test "nothing but the run speaks on stdout, so that its JSON is the last line" {
  "$entrypoint" job --json >"$BATS_TEST_TMPDIR/out" 2>/dev/null
  [ "$(cat "$BATS_TEST_TMPDIR/out")" = '{"run_id": "r1"}' ]
}

@test "without a remote state a job only runs" {
  REMOTE=3 run "$entrypoint" job
  [ "$status" -eq 0 ]
  [ "$(asked)" = "RUN " ]
}

@test "PDP_SYNC=no leaves the remote state alone" {
  PDP_SYNC=no run "$entrypoint" job
  [ "$(asked)" = "RUN " ]
}

@test "PDP_SYNC=required refuses to do without a remote state, whatever the role" {
  for role in job worker web api; do
    PDP_SYNC=required REMOTE=3 run "$entrypoint" "$role"
    [ "$status" -eq 2 ]
    [[ "$output" == *"STATE_URL"* ]]
  done
  [ "$(asked)" = "" ]
  PDP_SYNC=required run "$entrypoint" job
  [ "$(asked)" = "PULL RUN PUSH " ]
}

@test "wrong settings end it before anything is done" {
  REMOTE=2 run "$entrypoint" job
  [ "$status" -eq 2 ]
  [ "$(asked)" = "" ]
}

@test "a question for the remote that crashes is never taken for none" {
  REMOTE=1 run "$entrypoint" job
  [ "$status" -eq 2 ]
  [ "$(asked)" = "" ]
}

@test "the shipped examples never get into a remote state" {
  SOURCES=2 run "$entrypoint" job
  [ "$status" -eq 2 ]
  [ "$(asked)" = "PULL " ]
  REMOTE=3 SOURCES=2 run "$entrypoint" job
  [ "$status" -eq 0 ]
}

@test "with RETENTION what has expired is erased between the run and the push" {
  RETENTION='{"mi_fitness": 730}' run "$entrypoint" job
  [ "$status" -eq 0 ]
  [ "$(asked)" = "PULL RUN ERASE PUSH " ]
  : >"$LOG"
  RETENTION='{"mi_fitness": 730}' ERASE=2 run "$entrypoint" job
  [ "$status" -eq 1 ]
  [ "$(asked)" = "PULL RUN ERASE PUSH " ]
}

@test "a pull that fails ends it with its own code: nothing runs, nothing is pushed" {
  for code in 1 2 75; do
    : >"$LOG"
    PULL=$code run "$entrypoint" job
    [ "$status" -eq "$code" ]
    [ "$(asked)" = "PULL " ]
    [[ "$output" == *"could not be pulled"* ]]
  done
}

@test "a failed run is pushed all the same, and its code is kept" {
  for code in 1 2 75; do
    : >"$LOG"
    RUN=$code run "$entrypoint" job
    [ "$status" -eq "$code" ]
    [ "$(asked)" = "PULL RUN PUSH " ]
  done
}

@test "a push that fails after a good run is a matter of trying again" {
  for code in 1 75 139; do
    : >"$LOG"
    PUSH=$code run "$entrypoint" job
    [ "$status" -eq 75 ]
    [[ "$output" == *"could not be pushed"* ]]
  done
}

@test "a push refused for its settings says so with 2" {
  PUSH=2 run "$entrypoint" job
  [ "$status" -eq 2 ]
}

@test "a failed run whose push fails keeps the run's code" {
  RUN=1 PUSH=75 run "$entrypoint" job
  [ "$status" -eq 1 ]
}

@test "after a push that merged it runs once more and pushes again" {
  MERGED="true false" run "$entrypoint" job --strict
  [ "$status" -eq 0 ]
  [ "$(asked)" = "PULL RUN PUSH RUN PUSH " ]
  [ "$(grep -cx 'RUN main.py --strict' "$LOG")" -eq 2 ]
}

@test "merging without end stops after three runs" {
  MERGED=true run "$entrypoint" job
  [ "$status" -eq 0 ]
  [ "$(asked)" = "PULL RUN PUSH RUN PUSH RUN PUSH " ]
}

@test "the code is that of the last run" {
  MERGED="true false" RUN="1 0" run "$entrypoint" job
  [ "$status" -eq 0 ]
}

@test "TERM while it runs: passed on, waited for, then pushed" {
  SLOW=RUN start job
  until_logged "RUN waits"
  kill -TERM "$pid"
  ended
  [ "$code" -eq 143 ]
  [ "$(cut -d' ' -f1,2 "$LOG" | tr '\n' ';')" = "PULL main.py;RUN main.py;RUN waits;RUN was;RUN drained;PUSH main.py;" ]
}

@test "INT while it runs ends it with 130, pushed" {
  SLOW=RUN
  set -m # a background job of a script would ignore INT
  start job
  set +m
  until_logged "RUN waits"
  kill -INT "$pid"
  ended
  [ "$code" -eq 130 ]
  until_logged "^PUSH"
}

@test "a second TERM is passed on as well, and the push follows all the same" {
  SLOW=RUN start job
  until_logged "RUN waits"
  kill -TERM "$pid"
  until_logged "RUN was told"
  kill -TERM "$pid"
  ended
  [ "$code" -eq 143 ]
  grep -q "RUN drained" "$LOG"
  grep -q "^PUSH" "$LOG"
}

@test "TERM while it pulls: nothing is run" {
  SLOW=PULL start job
  until_logged "PULL waits"
  kill -TERM "$pid"
  ended
  [ "$code" -eq 143 ]
  ! grep -q "^RUN" "$LOG"
  ! grep -q "^PUSH" "$LOG"
}

@test "TERM while it pushes: the push is let finish, and the run's code stands" {
  SLOW=PUSH start job
  until_logged "PUSH waits"
  kill -TERM "$pid"
  touch "$LOG.go"
  ended
  [ "$code" -eq 0 ]
  grep -q "PUSH went on" "$LOG"
  ! grep -q "PUSH was told" "$LOG"
}

@test "TERM while it pushes and merges: not once more" {
  SLOW=PUSH MERGED=true start job
  until_logged "PUSH waits"
  kill -TERM "$pid"
  touch "$LOG.go"
  ended
  [ "$(grep -c '^RUN main' "$LOG")" -eq 1 ]
}

@test "a data root that cannot be written is told, with the mend" {
  touch "$BATS_TEST_TMPDIR/file"
  DATA_DIR="$BATS_TEST_TMPDIR/file/data" run "$entrypoint" job
  [ "$status" -eq 2 ]
  [[ "$output" == *"cannot be written"*"chown"* ]]
}

@test "what it makes is its owner's alone" {
  "$entrypoint" job
  [ "$(stat -c %a "$DATA_DIR")" = 700 ]
}

@test "a worker keeps the schedule, in step with the remote state" {
  PDP_SCHEDULE="5 4 * * *" run "$entrypoint" worker --jobs 2
  grep -qx "SERVE main.py --schedule 5 4 \* \* \* --sync --jobs 2" "$LOG"
}

@test "a worker without a remote state only keeps the schedule, off the full hour" {
  REMOTE=3 run "$entrypoint" worker
  grep -qx "SERVE main.py --schedule 17 \*/6 \* \* \*" "$LOG"
}

@test "web and api pull, then listen on every address at their port" {
  serve web
  PORT=9000 serve api
  [ "$(grep -v '^PULL' -B1 "$LOG" | cut -d' ' -f1 | tr '\n' ' ')" = "PULL SERVE PULL SERVE " ]
  grep -qx "SERVE main.py serve dashboard --host 0.0.0.0 --port 8501" "$LOG"
  grep -qx "SERVE main.py serve api --host 0.0.0.0 --port 9000" "$LOG"
}

@test "web shows what it has when the remote cannot be reached" {
  PULL=1 serve web
  [ "$code" -eq 0 ]
  grep -q "until the next try" "$BATS_TEST_TMPDIR/out"
  grep -q "^SERVE" "$LOG"
}

@test "web and api pull again every so often, until they end" {
  SLOW=SERVE PDP_REFRESH_MINUTES=0.005 start api
  until_logged "SERVE waits"
  for _ in $(seq 300); do
    if [ "$(grep -c '^PULL' "$LOG")" -ge 3 ]; then break; fi
    sleep 0.1
  done
  [ "$(grep -c '^PULL' "$LOG")" -ge 3 ]
  kill -TERM "$pid"
  ended
  sleep 0.6
  pulls="$(grep -c '^PULL' "$LOG")"
  sleep 0.9
  [ "$(grep -c '^PULL' "$LOG")" -eq "$pulls" ]
}

@test "the sign-in's secrets go to a private file and out of the environment" {
  DASHBOARD_SECRETS_TOML=$'[auth]\nclient_id = "x"' serve web
  [ "$(cat "$HOME/.streamlit/secrets.toml")" = $'[auth]\nclient_id = "x"' ]
  [ "$(stat -c %a "$HOME/.streamlit/secrets.toml")" = 600 ]
}

@test "any other word is a command of main.py, without pull and push" {
  run "$entrypoint" state show --json
  [ "$(asked)" = "RUN " ]
  grep -qx "RUN main.py state show --json" "$LOG"
}

@test "a shell can be had" {
  run "$entrypoint" bash -c 'echo here'
  [ "$output" = here ]
}

@test "health of a job is that it runs" {
  "$entrypoint" job
  run "$entrypoint" health
  [ "$status" -eq 0 ]
}

@test "health of web and api is an answer of 200" {
  export PDP_PYTHON=python3
  mkdir "$BATS_TEST_TMPDIR/site"
  echo ok >"$BATS_TEST_TMPDIR/site/health"
  python3 -u -m http.server --bind 127.0.0.1 --directory "$BATS_TEST_TMPDIR/site" 0 >"$LOG" 2>&1 3>&- &
  server=$!
  until_logged "Serving HTTP"
  port="$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$LOG")"
  printf 'api %s\n' "$port" >"$TMPDIR/pdp-role"
  run "$entrypoint" health
  [ "$status" -eq 0 ]
  printf 'web %s\n' "$port" >"$TMPDIR/pdp-role"
  run "$entrypoint" health # there is no /_stcore/health there
  [ "$status" -ne 0 ]
  kill "$server"
  printf 'api %s\n' "$port" >"$TMPDIR/pdp-role"
  wait "$server" || true
  run "$entrypoint" health
  [ "$status" -ne 0 ]
}
