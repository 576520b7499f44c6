#!/bin/sh
# Makes .venv-deploy: the MONAI Deploy App SDK and this package, at the versions of constraints.txt and
# deploy_constraints.txt; the latter's win. monai-deploy-app-sdk is a folder `deploy` inside the installed monai,
# whose other files it leaves alone: any monai serves.
#
# deploy_constraints.txt holds, of the following, the packages that constraints.txt lacks, and the four taken out
# of it: the SDK's tritonclient wants older ones of three, holoscan-cli of packaging. perf-analyzer's later
# releases need glibc 2.38; nothing here uses it.
#   grep -vE '^(grpcio|packaging|protobuf|tensorboard)==' constraints.txt >/tmp/pins.txt
#   { cat mammo_monai/apps/monai_deploy/requirements.txt; echo perf-analyzer==0.1.0; } |
#       sed '/^#/d; s/ *#.*//; s/$/ ; python_version < "3.14"/' |
#       uv pip compile pyproject.toml - --extra decoders --universal --python-version 3.10 --constraints /tmp/pins.txt \
#       --no-emit-index-url --no-annotate --no-header
set -eu
cd "$(dirname "$0")/../.."
name=deploy-env
venv=.venv-deploy
requirements=mammo_monai/apps/monai_deploy/requirements.txt
own_constraints=scripts/clinic/deploy_constraints.txt
made_from="pyproject.toml constraints.txt $own_constraints $requirements scripts/clinic/deploy_env.sh
    scripts/clinic/own_venv.sh"

. scripts/clinic/own_venv.sh

check_machine() {
    [ "$(uname -s)" = Linux ] || fail "the SDK runs on Linux, this is $(uname -s)."
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/.* //')
    printf '2.35\n%s\n' "${glibc:-0}" | sort -CV ||
        fail "holoscan needs glibc 2.35 or later (Debian 12, Ubuntu 22.04), this machine has ${glibc:-another libc}."
}

# Bytecode is compiled now: where PYTHONDONTWRITEBYTECODE is set, each start would compile torch and monai anew.
install_packages() {
    "$uv" -m uv pip install --python "$venv/bin/python" --constraints "$venv/constraints.txt" \
        --build-constraints constraints.txt --compile-bytecode --requirements "$requirements" --editable '.[decoders]'
}

leave_if_up_to_date
check_machine
make_venv
awk -F '==' 'NR == FNR { own[$1]; next } !($1 in own)' "$own_constraints" constraints.txt |
    cat - "$own_constraints" >"$venv/constraints.txt"
echo "deploy-env: installing the MONAI Deploy App SDK (several GB with torch; minutes the first time)"
# The second try copies instead of linking: some file systems refuse links between the cache and the venv.
install_packages || UV_LINK_MODE=copy install_packages ||
    fail "could not install the packages, see above. Is the network up, and about 10 GB of disk free?" \
        "What was fetched is kept: run it again to go on."
(ulimit -s 32768 2>/dev/null || true; "$venv/bin/python" -c 'import monai.deploy.core') >/dev/null ||
    fail "the MONAI Deploy App SDK does not start in $venv, see above."
echo "$stamp" >"$venv/.stamp"
echo "deploy-env: done; $venv/bin/python -m mammo_monai.apps.monai_deploy -i INPUT -o OUTPUT"
