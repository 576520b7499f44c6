#!/bin/sh
# Makes .venv-label: MONAI Label and this package, at the versions of constraints.txt and label_constraints.txt.
# MONAI Label has no release for pydicom 3 and numpy 2; what keeps it from starting there is replaced or left
# out by label_overrides.txt and by the stand-in for pydicom-seg, so that nothing installed is ever patched.
#
# label_constraints.txt holds the lines that are not in constraints.txt of
#   printf 'monailabel==0.8.5\npsutil\nscikit-image\nsetuptools\nSimpleITK\n' | uv pip compile pyproject.toml - --universal \
#       --constraints constraints.txt --overrides scripts/clinic/label_overrides.txt --python-version 3.10 \
#       --no-emit-index-url --no-annotate --no-header
set -eu
cd "$(dirname "$0")/../.."
name=label-env
venv=.venv-label
stand_in=mammo_monai/apps/monai_label/stand_in
made_from="pyproject.toml constraints.txt scripts/clinic/label_constraints.txt scripts/clinic/label_overrides.txt
    scripts/clinic/label_env.sh scripts/clinic/own_venv.sh $stand_in/pyproject.toml $stand_in/pydicom_seg.py"

. scripts/clinic/own_venv.sh

# The folder of scripts and sample applications in MONAI Label's wheel has a name that breaks the wheel format:
# uv leaves out what is in it (the command `monailabel`), pip does not mind.
install_command() {
    [ -f "$venv/bin/monailabel" ] || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-deps --force-reinstall -c scripts/clinic/label_constraints.txt monailabel
}

install_packages() {
    "$uv" -m uv pip install --python "$venv/bin/python" --constraints constraints.txt \
        --constraints scripts/clinic/label_constraints.txt --build-constraints constraints.txt \
        --overrides scripts/clinic/label_overrides.txt \
        "monailabel==0.8.5" psutil scikit-image setuptools SimpleITK "./$stand_in" --editable .
}

leave_if_up_to_date
make_venv
echo "label-env: installing MONAI Label (several GB with torch; minutes the first time)"
# The second try copies instead of linking: some file systems refuse links between the cache and the venv.
install_packages || UV_LINK_MODE=copy install_packages ||
    fail "could not install the packages, see above. Is the network up, and about 9 GB of disk free?" \
        "What was fetched is kept: run it again to go on."
install_command || fail "could not install the command monailabel, see above."
"$venv/bin/python" -c 'import monailabel.app' >/dev/null || fail "MONAI Label does not start in $venv, see above."
echo "$stamp" >"$venv/.stamp"
echo "label-env: done. To serve a folder of DICOM files:"
echo "  . $venv/bin/activate"
echo "  monailabel start_server --app \"\$(mammo-monai apps path monai-label)\" --studies DIR --host 127.0.0.1"
