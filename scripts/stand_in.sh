#!/bin/sh
# Pull an image or, where that cannot be done, put a Debian root with the same programs under its name:
# scripts/stand_in.sh IMAGE SUITE PACKAGES. For scripts/check_image.sh alone. Needs buildah; for a root also debootstrap, as root.
set -eu
image=docker.io/$1 suite=$2 packages=$3
LABEL=tuwen.stands-in

if buildah inspect --type image "$image" 2>/dev/null | grep -q "$LABEL"; then
    echo "stand_in: not checked: $1 itself; a Debian root made before stands in for it"
    exit
elif buildah pull --quiet --policy missing "$image" >/dev/null 2>&1; then
    echo "stand_in: good: $1"
    exit
fi
echo "stand_in: not checked: $1 itself, which cannot be pulled; making a Debian root ($suite) in its place"
container=$(buildah from scratch)
root=$(buildah mount "$container")
debootstrap --variant=minbase --include="$packages" "$suite" "$root" | sed -n 's/^E:/stand_in:/p'
[ -x "$root/usr/bin/env" ] || exit 1
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
binaries=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
buildah config --label "$LABEL=debootstrap" --env PATH="$binaries:/usr/lib/postgresql/17/bin" "$container"
case $1 in *postgres:*)
    chroot "$root" install -d -o postgres -m 700 /var/lib/postgresql/data
    # What the official entry point does with the variables of docker-compose.yml. Its socket lies elsewhere, since podman
    # gives a tmpfs on /run/postgresql to root.
    cat >"$root/usr/local/bin/start-postgres" <<'SCRIPT'
#!/bin/sh
set -eu
export PGDATA=/var/lib/postgresql/data
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    echo "$POSTGRES_PASSWORD" >/tmp/password
    initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 $POSTGRES_INITDB_ARGS
    echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
SCRIPT
    chmod 755 "$root/usr/local/bin/start-postgres"
    buildah config --cmd start-postgres "$container" ;;
esac
buildah commit --quiet --rm "$container" "$image" >/dev/null
