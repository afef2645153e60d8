#!/bin/sh
# Build the image and run it as docker-compose.yml does, without a daemon: scripts/check_image.sh [OPTIONS OF buildah build]
#
# Needs buildah and podman. Where the base image cannot be pulled, a Debian root with Python 3.11 stands in for it, made by
# debootstrap (as root). $PODMAN_RUN has further options of `podman run`, e.g. "--runtime runc --ulimit nofile=4096:4096".
# Says what was checked, what was not, and ends with 1 if anything is wrong.
set -u
cd "$(dirname "$0")/.." || exit 1
BASE=$(sed -n 's/^FROM \([^ ]*\)$/\1/p' Dockerfile)
IMAGE=localhost/tuwen-check
NAME=tuwen-check-$$
STAND_IN=tuwen.stands-in
failed=0

say() { echo "check_image: $*"; }
good() { say "good: $*"; }
bad() { say "BAD: $*"; failed=1; }
skipped() { say "not checked: $*"; }
need() { command -v "$1" >/dev/null || { say "$1 is not on the PATH: nothing was checked"; exit 2; }; }
# what it prints must be what was wanted
same() { if [ "$2" = "$3" ]; then good "$1: $2"; else bad "$1: $2, wanted $3"; fi; }

need buildah
need podman
trap 'podman rm --force --time 0 "$NAME" >/dev/null 2>&1; podman volume rm "$NAME" >/dev/null 2>&1' EXIT

stands_in() { podman image inspect --format '{{.Config.Labels}}' "docker.io/library/$BASE" 2>/dev/null | grep -q "$STAND_IN"; }
if stands_in; then
    say "a Debian root made before stands in for $BASE"
elif buildah pull --quiet --policy missing "docker.io/library/$BASE" >/dev/null 2>&1; then
    good "base image $BASE"
else
    need debootstrap
    root=$(mktemp -d)
    say "$BASE cannot be pulled; making a Debian root with Python in its place"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root" >"$root.log" 2>&1 ||
        { tail -5 "$root.log"; say "debootstrap failed: nothing was checked"; exit 2; }
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
    container=$(buildah from scratch)
    buildah copy --quiet "$container" "$root" / >/dev/null
    buildah config --label "$STAND_IN=debootstrap" "$container"
    buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    buildah commit --quiet --rm "$container" "docker.io/library/$BASE" >/dev/null
    rm -rf "$root" "$root.log"
fi
stands_in && skipped "the base image itself"

say "building; this takes some minutes"
buildah build --format docker --isolation chroot --tag "$IMAGE" "$@" . || { bad "the image does not build"; exit 1; }
good "the image builds; its size is $(buildah images --format '{{.Size}}' "$IMAGE"), the base's $(buildah images --format '{{.Size}}' "$BASE")"
same "user" "$(podman image inspect --format '{{.Config.User}}' "$IMAGE")" 10001
same "command" "$(podman image inspect --format '{{.Config.Cmd}}' "$IMAGE")" "[tuwen serve]"
[ -n "$(podman image inspect --format '{{.HealthCheck}}' "$IMAGE")" ] && good "it has a health check" || bad "no health check"

# As the service `api`, with the embedded stores in the volume, since there is no second container here.
# shellcheck disable=SC2086 # options are words
if ! podman run --detach --name "$NAME" --read-only --read-only-tmpfs=false --tmpfs /tmp --cap-drop all \
    --security-opt no-new-privileges --volume "$NAME:/data:U" --network none ${PODMAN_RUN:-} "$IMAGE" >/dev/null; then
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

if command -v docker >/dev/null && docker compose version >/dev/null 2>&1; then
    docker compose --env-file .env.example config --quiet && good "docker compose reads docker-compose.yml" ||
        bad "docker compose refuses docker-compose.yml"
else
    skipped "docker-compose.yml by docker compose itself: it is not here"
fi
skipped "the four services together: that needs a daemon with networks of its own"
exit $failed
