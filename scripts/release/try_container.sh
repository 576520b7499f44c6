#!/bin/sh
# Builds the Containerfile's images without a registry and tries them: base made by debootstrap, built by buildah,
# run in a chroot with a read-only root, no network, and a user id that the image does not know.
#
#     sudo sh scripts/release/try_container.sh [--keep] [--work FOLDER] [--base FOLDER]
#
# Needs root, apt-get install buildah debootstrap, about 40 GB and 20 minutes. Ends with 0 if all was as expected.
# A chroot is no container: it shows what the image holds and needs, not how an engine isolates it.
set -eu
cd "$(dirname "$0")/../.."
parent=/var/tmp base='' keep=''
while [ $# -gt 0 ]; do
    case $1 in
        --keep) keep=1 ;;
        --work) parent=$2 && shift ;;
        --base) base=$2 && shift ;;
        *) echo "try_container: unknown word $1" >&2 && exit 2 ;;
    esac
    shift
done
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' mammo_monai/__init__.py)
node=''

fail() {
    printf 'try_container: %s\n' "$*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root: debootstrap and chroot do."
for each in buildah debootstrap unshare setpriv; do
    command -v "$each" >/dev/null || fail "needs $each: apt-get install buildah debootstrap util-linux"
done
mkdir -p "$parent"
work=$(mktemp -d "$parent/mammo-container.XXXXXX") # its own: it is removed in the end
mkdir "$work/tmp"
export TMPDIR="$work/tmp"

b() {
    buildah --root "$work/storage" --runroot "$work/run" --storage-driver overlay "$@"
}

clean_up() {
    [ -z "$node" ] || kill "$(cat "$work/state.pid")" 2>/dev/null || true
    b rm --all >/dev/null 2>&1 || true
    [ -n "$keep" ] || rm -rf "$work"
}
trap clean_up EXIT

# --- A base image from Debian's packages alone -----------------------------------------------------------------------
make_base() {
    if [ -z "$base" ]; then
        base=$work/base
        [ -d "$base/etc" ] || debootstrap --variant=minbase --include=ca-certificates bookworm "$base" >"$work/base.log"
    fi
    # Behind a proxy that has its own authority, what builds in the image must know that authority, too.
    cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$base/etc/ssl/certs/ca-certificates.crt"
    container=$(b from scratch)
    b add --quiet "$container" "$base" / >/dev/null
    b config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
        --env PIP_CERT=/etc/ssl/certs/ca-certificates.crt "$container"
    b commit --quiet --rm "$container" localhost/debian-bookworm >/dev/null
}

build() {
    b build --isolation chroot --layers --file Containerfile --ignorefile .dockerignore \
        --build-arg BASE=localhost/debian-bookworm --build-arg VERSION="$version" \
        --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" "$@" . >>"$work/build.log" 2>&1 ||
        fail "the build failed, see $work/build.log (kept with --keep): $(tail -n 3 "$work/build.log")"
}

# --- Trying: in a mount namespace with a read-only root, in a network namespace with loopback alone -------------------
# in_image USER FOLDER-FOR-/work COMMAND…: the image's own environment, nothing of the caller's.
in_image() {
    user=$1 folder=$2
    shift 2
    # shellcheck disable=SC2016  # expanded inside
    unshare --mount --net sh -eu -c '
        root=$1 user=$2 folder=$3 state=$4; shift 4
        echo $$ >"$state.pid"
        ip link set lo up 2>/dev/null || true
        mount --bind "$root" "$root"
        mount -t tmpfs tmpfs "$root/tmp"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --bind "$folder" "$root/work"
        mount --bind "$state" "$root/var/lib/mammo-monai"
        mount -o remount,bind,ro "$root"
        exec env -i PATH=/opt/mammo-monai/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp USER=mammo \
            MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
            "$(command -v chroot)" "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs \
            sh -c "cd /work && exec \"\$@\"" sh "$@"
    ' sh "$root" "$user" "$folder" "$work/state" "$@"
}

expect() {
    printf '%-72s' "$1"
    shift
    if "$@" >"$work/said" 2>&1; then echo "as expected"; else echo "NOT SO" && cat "$work/said" && exit 1; fi
}

refuse() {
    ! "$@"
}

has_no_build_tools() {
    for each in cc gcc make uv git; do
        for folder in usr/bin usr/local/bin opt/mammo-monai/bin; do
            [ ! -e "$root/$folder/$each" ] || { echo "$folder/$each" && return 1; }
        done
    done
}

says_version() {
    [ "$(in_image 10001 "$work/films" mammo-monai --version)" = "mammo-monai $version" ]
}

try_command() {
    container=$(b from mammo-monai) && root=$(b mount "$container")
    rm -rf "$work/films" "$work/state" && mkdir -p "$work/films" "$work/state"
    chown 12345:12345 "$work/films" && chown 10001:10001 "$work/state"
    expect "the command tells its version" says_version
    expect "no compiler, no make, no uv, no git in the image" has_no_build_tools
    expect "there is no network" refuse in_image 10001 "$work/films" python -c \
        'import socket; socket.create_connection(("192.0.2.1", 80), 2)'
    expect "the root file system cannot be written" refuse in_image 10001 "$work/films" touch /opt/mammo-monai/x
    expect "a film is made by a user id that the image does not know" in_image 12345 "$work/films" \
        mammo-monai phantoms --layout inbreast --patients 1 --pixel-spacing-mm 0.4 --out phantoms
    expect "and marked, without network, root file system read-only" in_image 12345 "$work/films" \
        mammo-monai predict phantoms/AllDICOMs --bundle cbis_mass_detection --fppi 0.5 -o detections.json \
        --overlays overlays
    [ -s "$work/films/detections.json" ] || fail "no detections.json"
    b rm "$container" >/dev/null
}

healthy() {
    for _ in $(seq 60); do
        nsenter --target "$(cat "$work/state.pid")" --net --mount -- chroot "$root" /opt/mammo-monai/bin/python -c "$1" && return
        sleep 2
    done
    return 1
}

try_node() {
    container=$(b from mammo-monai-node) && root=$(b mount "$container")
    check=$(b inspect --type image mammo-monai-node | python3 -c \
        'import json, sys; print(json.load(sys.stdin)["Docker"]["config"]["Healthcheck"]["Test"][-1])')
    cat >"$work/films/node.json" <<'END'
{"folder": "/var/lib/mammo-monai", "marking": {"bundle": "cbis_mass_detection", "fppi": 0.5},
 "destinations": [{"name": "pacs", "peer": "PACS@127.0.0.1:104"}]}
END
    expect "the node's configuration is sound" in_image 10001 "$work/films" mammo-monai serve --check node.json
    in_image 10001 "$work/films" mammo-monai serve --config node.json >"$work/node.log" 2>&1 &
    node=$!
    expect "the node is healthy, by the image's own health check" healthy "$check"
    kill -TERM "$(cat "$work/state.pid")"
    wait "$node" && ended=0 || ended=$?
    node=''
    [ "$ended" = 0 ] || fail "the node ended with $ended on SIGTERM, see $work/node.log"
    echo "and ends on SIGTERM with 0"
    b rm "$container" >/dev/null
}

make_base
echo "base: Debian bookworm by debootstrap"
began=$(date +%s)
build --tag mammo-monai --format docker
build --tag mammo-monai-node --target node --format docker
echo "built in $(($(date +%s) - began)) s"
b images --format '{{.Name}} {{.Size}}' | grep mammo
try_command
try_node
