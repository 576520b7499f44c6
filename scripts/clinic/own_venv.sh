# Sourced by label_env.sh and deploy_env.sh: an environment of its own beside .venv.
# Wants $name, the make target, $venv, its folder, and $made_from, the files that its packages follow from.

fail() {
    printf '\nmake %s: %s\n' "$name" "$*" >&2
    exit 1
}

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}

find_python() {
    for each in ${PYTHON:-.venv/bin/python python3 python3.13 python3.12 python3.11 python3.10 python}; do
        if is_supported "$each"; then
            echo "$each"
            return
        fi
    done
    fail "needs Python 3.10 to 3.13; tried: ${PYTHON:-.venv/bin/python, python3, python3.13 … python3.10, python}." \
        "Install one, or name it: make $name PYTHON=/path/to/python3"
}

find_uv() {
    for each in .venv/bin/python "$venv/bin/python"; do
        if "$each" -m uv --version >/dev/null 2>&1; then
            echo "$each"
            return
        fi
    done
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt uv >&2 ||
        fail "could not fetch uv, see above. Is the network up, and can pip reach a package registry?"
    echo "$venv/bin/python"
}

leave_if_up_to_date() {
    # shellcheck disable=SC2086  # one word each
    stamp=$(cat $made_from | cksum)
    if is_supported "$venv/bin/python" && [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ]; then
        echo "$name: $venv is up to date"
        exit 0
    fi
}

make_venv() {
    if ! { is_supported "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
        python=$(find_python)
        echo "$name: $("$python" --version) → $venv"
        "$python" -m venv --clear "$venv" || fail "could not make $venv with $python (see above)." \
            "On Debian and Ubuntu: apt-get install python3-venv."
    fi
    uv=$(find_uv)
}
