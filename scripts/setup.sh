#!/bin/sh
# Makes .venv from nothing but Python: uv by pip, then everything else by uv at the versions of constraints.txt.
# uv ignores pip's own configuration, and so a machine's find-links cannot slip in another torch.
set -eu
cd "$(dirname "$0")/.."
venv=.venv

fail() {
    printf '\nmake setup: %s\n' "$*" >&2
    exit 1
}

# requires-python = ">=3.LOWEST,<3.TOO_NEW": for newer ones packages have no builds yet.
range=$(sed -n 's/^requires-python = ">=3\.\([0-9]*\),<3\.\([0-9]*\)".*/\1 \2/p' pyproject.toml)
lowest=${range% *} too_new=${range#* }

is_supported() {
    "$1" -c "import sys; sys.exit(not (3, $lowest) <= sys.version_info[:2] < (3, $too_new))" >/dev/null 2>&1
}

find_python() {
    newest=$((too_new - 1)) tried=
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3 $(seq -f 'python3.%.0f' "$newest" -1 "$lowest") python
    fi
    for each in "$@"; do
        if is_supported "$each"; then
            echo "$each"
            return
        fi
        tried="$tried${tried:+, }$each ($("$each" --version 2>/dev/null || echo 'not there'))"
    done
    fail "needs Python 3.$lowest to 3.$newest; tried: $tried." \
        "Install one, or name it: make setup PYTHON=/path/to/python3"
}

make_venv() {
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$("$python" --version) cannot make virtual" \
        "environments: its module ensurepip or venv is missing. On Debian and Ubuntu: apt-get install python3-venv." \
        "Or name another Python: make setup PYTHON=/path/to/python3"
    echo "setup: $("$python" --version) → $venv"
    "$python" -m venv --clear "$venv" || fail "could not make $venv with $python (see above)."
}

install_uv() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt uv ||
        fail "could not fetch uv, see above. Is the network up, and can pip reach a package registry?" \
            "Behind a proxy or mirror set HTTPS_PROXY, or pip's and uv's index settings, and run it again."
}

install_packages() {
    "$venv/bin/python" -m uv pip install --python "$venv/bin/python" --constraints constraints.txt \
        --build-constraints constraints.txt --editable '.[dev]'
}

# A venv whose interpreter is gone (moved folder, upgraded system) is made anew; one cut off in the middle goes on.
is_supported "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv
wanted_uv=$(sed -n 's/^uv==\([^ ;]*\).*/\1/p' constraints.txt)
case "$("$venv/bin/python" -m uv --version 2>/dev/null)" in
    "uv $wanted_uv"*) ;;
    *) install_uv ;;
esac
echo "setup: installing the packages of constraints.txt (several GB with torch; minutes the first time)"
# The second try copies instead of linking: some file systems refuse links between the cache and the venv.
install_packages || UV_LINK_MODE=copy install_packages ||
    fail "could not install the packages, see above. Is the network up, and about 12 GB of disk free?" \
        "What was fetched is kept: run it again to go on."
touch "$venv/.stamp"
echo "setup: done"
