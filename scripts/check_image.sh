#!/bin/sh
# Build the image and run it as docker-compose.yml does, without a daemon: scripts/check_image.sh [OPTIONS OF buildah build]
#
# Needs buildah and podman; for the four services also root, Docker Compose 2 or newer as a command of `docker` (no daemon),
# and podman's networks from netavark with aardvark-dns. What podman needs here beyond its defaults, such as another runtime
# or limits, says a containers.conf that $CONTAINERS_CONF names. For images that cannot be pulled see scripts/stand_in.sh.
# Says what was checked, what was not, and ends with 1 if anything is wrong.
set -u
cd "$(dirname "$0")/.." || exit 1
BASE=$(sed -n 's/^FROM \([^ ]*\)$/\1/p' Dockerfile)
IMAGE=localhost/tuwen-check
NAME=tuwen-check-$$
WORK=$(mktemp -d)
TUWEN=http://127.0.0.1:8000
MOST_MB=1500
failed=0

say() { echo "check_image: $*"; }
good() { say "good: $*"; }
bad() { say "BAD: $*"; failed=1; }
skipped() { say "not checked: $*"; }
need() { command -v "$1" >/dev/null || { say "$1 is not on the PATH: nothing was checked"; exit 2; }; }
# a command must end with 0
done_well() {
    what=$1
    shift
    if "$@" >"$WORK/said" 2>&1; then good "$what"; else tail -n 5 "$WORK/said" && bad "$what"; fi
}
# what it prints must be what was wanted
same() { if [ "$2" = "$3" ]; then good "$1: $2"; else bad "$1: $2, wanted $3"; fi; }

need buildah
need podman
ended() {
    podman rm --force --time 0 "$NAME" >/dev/null 2>&1
    [ -e "$WORK/podman.sock" ] && compose down --volumes --timeout 10 >/dev/null 2>&1
    podman volume rm "$NAME" >/dev/null 2>&1
    # shellcheck disable=SC2086 # each may be missing
    kill ${SERVICE:-} ${HEALTH:-} 2>/dev/null
    rm -rf "$WORK"
}
trap ended EXIT
trap 'exit 1' INT TERM

scripts/stand_in.sh "library/$BASE" bookworm python3,python3-venv,ca-certificates || exit 2
say "building; this takes some minutes"
buildah build --format docker --isolation chroot --tag "$IMAGE" "$@" . || { bad "the image does not build"; exit 1; }
good "the image builds"
size() { podman image inspect --format '{{.Size}}' "$1" | awk '{print int($1 / 1000000)}'; }
[ "$(size "$IMAGE")" -lt $MOST_MB ] && good "$(size "$IMAGE") MB, of them the base $(size "$BASE")" || bad "$(size "$IMAGE") MB"
same "user" "$(podman image inspect --format '{{.Config.User}}' "$IMAGE")" 10001
same "command" "$(podman image inspect --format '{{.Config.Cmd}}' "$IMAGE")" "[tuwen serve]"
[ -n "$(podman image inspect --format '{{.HealthCheck}}' "$IMAGE")" ] && good "it has a health check" || bad "no health check"

# As the service `api`, with the embedded stores in the volume, since there is no second container here.
if ! podman run --detach --name "$NAME" --read-only --read-only-tmpfs=false --tmpfs /tmp --cap-drop all \
    --security-opt no-new-privileges --volume "$NAME:/data:U" --network none "$IMAGE" >/dev/null; then
    skipped "running it: podman cannot run containers here"
    exit $failed
fi
inside() { podman exec "$NAME" "$@"; }
seconds=0
until podman healthcheck run "$NAME" >/dev/null 2>&1; do
    seconds=$((seconds + 2))
    [ $seconds -gt 240 ] && { podman logs "$NAME" 2>&1 | tail -20; bad "not healthy within 240 s"; exit 1; }
    sleep 2
done
good "it gets healthy, by its own health check"
same "it runs as" "$(inside id -u)" 10001
inside sh -c 'touch /app/x 2>/dev/null' && bad "it can write to its root" || good "its root cannot be written"
same "capabilities" "$(inside sed -n 's/^CapEff:[[:space:]]*//p' /proc/1/status)" 0000000000000000
inside tuwen status >/dev/null && good "tuwen status, inside" || bad "tuwen status, inside"
podman stop --time 30 "$NAME" >/dev/null
same "exit code after SIGTERM" "$(podman inspect --format '{{.State.ExitCode}}' "$NAME")" 0

podman rm "$NAME" >/dev/null

# The four services of docker-compose.yml, on the socket that podman has for clients of a Docker daemon.
if ! docker compose version >/dev/null 2>&1; then
    skipped "docker-compose.yml: docker compose is not here"
    exit $failed
fi
if [ "$(podman info --format '{{.Host.NetworkBackend}}')" != netavark ]; then
    skipped "docker-compose.yml: only podman's networks from netavark give names on two networks, one of them internal"
    exit $failed
fi
awk '/=$/ {print $0 "secret" NR}' .env.example >"$WORK/env"
# shellcheck disable=SC1091 # it is made here
set -a && . "$WORK/env" && set +a
compose() { docker compose --project-name "$NAME" --env-file "$WORK/env" --file docker-compose.yml "$@"; }
done_well "docker compose config" compose config --quiet
for store in postgres:postgresql-17 valkey:valkey-server,valkey-tools; do
    image=$(sed -n "s/^    image: \(.*${store%%:*}:[0-9]*\)$/\1/p" docker-compose.yml)
    case $image in */*) ;; *) image=library/$image ;; esac
    scripts/stand_in.sh "$image" trixie "${store#*:}" || exit 2
done
podman tag "$IMAGE" localhost/tuwen
export DOCKER_HOST="unix://$WORK/podman.sock"
podman system service --time 0 "$DOCKER_HOST" 2>/dev/null &
SERVICE=$!
# podman leaves health checks to systemd's timers; this works without them.
while sleep 5; do
    for one in $(podman ps --quiet --filter "label=com.docker.compose.project=$NAME"); do podman healthcheck run "$one"; done
done >/dev/null 2>&1 &
HEALTH=$!
until [ -S "$WORK/podman.sock" ]; do sleep 1; done

# Not with --wait: Compose takes podman's empty health of the service without a check for a wrong one.
up() {
    compose up --detach --no-build --pull never >"$WORK/up" 2>&1 || { tail -n 5 "$WORK/up"; return 1; }
    for _ in $(seq 60); do
        well=$(compose ps --format '{{.Service}} {{.State}} {{.Health}}' | grep -c -e ' healthy$' -e '^trainer running')
        [ "$well" = 4 ] && return
        sleep 5
    done
    compose ps --all
    return 1
}
status() { curl --silent --output "$WORK/answer" --write-out '%{http_code}' "$@"; }
client() { status "$TUWEN$1" -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d "$2"; }
if ! up; then bad "the four services do not come up"; exit 1; fi
good "the four services are up: $(compose ps --format '{{.Service}} {{.Status}};' | tr '\n' ' ')"
ways_out() { compose exec -T "$1" grep -c '^[^[:space:]]*[[:space:]]*00000000' /proc/net/route; }
for service in trainer postgres valkey; do same "ways of $service out of the inner network" "$(ways_out $service)" 0; done
same "/health/ready without a generation" "$(status "$TUWEN/health/ready")" 503
# Posts, events and an answer: the guide for app developers, as its reader follows it.
awk '/^## In Python/ {exit} /^```$/ {inside = 0} inside; /^```sh$/ {inside = 1}' docs/api-guide.md >"$WORK/guide"
export TUWEN KEY="$TUWEN_CLIENT_KEY" OPS_KEY="$TUWEN_OPS_KEY"
done_well "the guide for app developers: posts, events, recommendations" timeout 300 bash -eu "$WORK/guide"
same "a picture is taken" "$(status -T docs/pictures/demo.png "$TUWEN/posts/noodles-1/picture" \
    -H "Authorization: Bearer $OPS_KEY" -H "Content-Type: image/png")" 200
health() { curl --silent "$TUWEN/health" -H "Authorization: Bearer $TUWEN_ADMIN_KEY" |
    grep -o '"status":"[a-z ]*"' | head -n 1; }
same "health" "$(health)" '"status":"ready"'
same "/health/ready" "$(status "$TUWEN/health/ready")" 200
same "/recommend" "$(client /recommend '{"user_id": "new", "k": 2}')" 200
done_well "tuwen reindex" compose exec -T api tuwen reindex
# A post, and enough of a log for a training cycle. Exit code 3 says that the gate refuses the network: no fault here.
cat >"$WORK/files.py" <<'PYTHON'
import datetime, json, pyarrow.parquet, sys
run, count = sys.argv[1], int(sys.argv[2])
now = datetime.datetime.now(datetime.UTC)
posts = {"post_id": [f"import-{run}"], "title": ["周末徒步，山顶看云"]}
pyarrow.parquet.write_table(pyarrow.table(posts), "/tmp/posts.parquet")
with open("/tmp/shown.jsonl", "w") as shown, open("/tmp/acts.jsonl", "w") as acts:
    for i in range(count):
        at = (now - datetime.timedelta(seconds=count - i)).isoformat()
        where = {"post_id": ("noodles-2", "beach-2")[i % 2], "scene": "home", "position": 0}
        print(json.dumps({"exposure_id": f"{run}-{i}", "user_id": f"u{i % 9}", "shown_at": at, **where}), file=shown)
        if i % 2:
            click = {"behaviour_id": f"{run}-{i}", "exposure_id": f"{run}-{i}", "kind": "click", "at": at}
            print(json.dumps(click), file=acts)
PYTHON
imported() {
    compose exec -T trainer sh -c "python - $1 $2 && cd /tmp &&
        tuwen import --posts posts.parquet --exposures shown.jsonl --behaviours acts.jsonl" <"$WORK/files.py"
}
done_well "tuwen import" imported once 400
same "an imported post" "$(status "$TUWEN/posts/import-once" -H "Authorization: Bearer $KEY")" 200
done_well "tuwen train" compose exec -T trainer sh -c 'tuwen train || [ $? = 3 ]'
# The trainer takes a thousand new exposures for a cycle of its own.
trainer_trained() {
    for _ in $(seq 60); do
        curl --silent "$TUWEN/health" -H "Authorization: Bearer $TUWEN_ADMIN_KEY" |
            grep -q '"kind":"train","state":"done"[^}]*"requested_by":"trainer"' && return
        sleep 5
    done
    compose logs --tail 5 trainer
    return 1
}
done_well "tuwen import, three times as much" imported more 1200
done_well "the trainer trains by itself" trainer_trained
same "/metrics" "$(status "$TUWEN/metrics" -H "Authorization: Bearer $OPS_KEY")" 200
done_well "/metrics tells of the trainer" grep '^tuwen_job_seconds{kind="train"} [0-9]' "$WORK/answer"
compose restart --timeout 30 >/dev/null 2>&1
sleep 10
if up; then good "they restart"; else bad "they do not restart"; fi
same "the picture is still there" "$(status "$TUWEN/posts/noodles-1/picture" -H "Authorization: Bearer $KEY")" 200
same "health after it" "$(health)" '"status":"ready"'
same "/recommend after it" "$(client /recommend '{"user_id": "new", "k": 2}')" 200
exit $failed
