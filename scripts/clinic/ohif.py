"""OHIF's built pages on a PACS's DICOMweb, from one address; and a picture of a study with its report loaded.

    python scripts/clinic/ohif.py --dicomweb http://127.0.0.1:8042/dicom-web
    python scripts/clinic/ohif.py film.dcm film_sr.dcm --picture ohif.jpg

The first serves OHIF until Ctrl+C. The second starts an Orthanc of its own, stores the files in it, opens
their study in a headless Chromium, loads the report and takes the picture. The server listens on 127.0.0.1
and passes on reading requests alone. OHIF and DICOMweb have one origin, so the PACS needs no CORS settings.
"""

from __future__ import annotations

import argparse
import io
import json
import mimetypes
import shutil
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from PIL import Image
from pydicom import dcmread

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
DIST = ROOT / "build" / "clinic" / "node_modules" / "@ohif" / "app" / "dist"
DICOMWEB = "/dicom-web"
REPORT_SERIES = "Marks (SR)"  # SeriesDescription of `mammo-monai dicom sr`
CERTAINTY = "Certainty of Finding"
TOUR = "basicViewerTour"
PICTURE = {"width": 1400, "height": 900}
WAIT_MS = 60_000  # for a page on a busy machine
DRAWN_MS = 20_000  # for the boxes, once the image is there
ATTEMPTS = 12
_TIMEOUT_S = 120


def app_config() -> str:
    """OHIF's app-config.js for the PACS behind this server; the one it comes with names a public server."""
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "dicomweb",
        "configuration": {
            "friendlyName": "PACS",
            "name": "PACS",
            "qidoRoot": DICOMWEB,
            "wadoRoot": DICOMWEB,
            "wadoUriRoot": DICOMWEB,
            "qidoSupportsIncludeField": False,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "supportsFuzzyMatching": False,
            "supportsWildcard": True,
            "omitQuotationForMultipartRequest": True,
        },
    }
    config = {
        "routerBasename": None,
        "extensions": [],
        "modes": [],
        "customizationService": {},
        "showStudyList": True,
        "maxNumberOfWebWorkers": 2,
        "showLoadingIndicator": True,
        "strictZSpacingForVolumeViewport": True,
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": "dicomweb",
        "dataSources": [source],
    }
    return f"window.config = {json.dumps(config, indent=1)};\n"


class OhifServer(ThreadingHTTPServer):
    """Serves the built pages in `dist` and passes reading requests under /dicom-web on to `dicomweb_url`."""

    daemon_threads = True

    def __init__(self, dist: Path, dicomweb_url: str, port: int = 0) -> None:
        self.dist, self.dicomweb_url = dist.resolve(), dicomweb_url.rstrip("/")
        super().__init__(("127.0.0.1", port), OhifHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class OhifHandler(BaseHTTPRequestHandler):
    server: OhifServer
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == DICOMWEB or path.startswith(f"{DICOMWEB}/"):
            self._send(*self._from_pacs())
        elif path == "/app-config.js":
            self._send(200, "text/javascript", app_config().encode())
        else:
            self._send_page(path)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: addresses hold the UIDs of studies."""

    def _from_pacs(self) -> tuple[int, str, bytes]:
        accept = {"Accept": self.headers.get("Accept", "*/*")}
        asked = urllib.request.Request(self.server.dicomweb_url + self.path[len(DICOMWEB) :], headers=accept)
        try:
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as answer:
                return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Content-Type", ""), error.read()
        except OSError as error:
            return 502, "text/plain", f"the PACS does not answer: {error}".encode()

    def _send_page(self, path: str) -> None:
        file = (self.server.dist / path.lstrip("/")).resolve()
        if not (file.is_file() and file.is_relative_to(self.server.dist)):
            file = self.server.dist / "index.html"  # OHIF's own routes, such as /viewer
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self._send(200, kind, file.read_bytes())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cross-Origin-Opener-Policy": "same-origin",  # both: OHIF shares memory between its threads
            "Cross-Origin-Embedder-Policy": "require-corp",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body)


@contextmanager
def serving_ohif(dicomweb_url: str, *, dist: Path = DIST, port: int = 0) -> Iterator[str]:
    """Serves OHIF in a thread until the block ends; gives its address."""
    with OhifServer(dist, dicomweb_url, port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def open_report(page: Page, url: str, study_uid: str, series: str = REPORT_SERIES) -> None:
    """Opens a study and shows its report on the image, as a reader does: a double click on its thumbnail.

    Returns once the boxes lie on the image with a certainty beside them; waits for what is on the page, never
    for a fixed time. OHIF 3.12 loads a report and draws nothing about one time in five; the study is then
    opened again.
    """
    from playwright.sync_api import TimeoutError as PlaywrightTimeout  # noqa: PLC0415  # an extra

    # A guided tour lies over a first visitor's page and takes the clicks.
    page.add_init_script(f"localStorage.setItem('shownTours', '{json.dumps([TOUR])}')")
    page.set_default_timeout(WAIT_MS)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            page.goto(f"{url}/viewer?StudyInstanceUIDs={study_uid}")
            _show_report(page, series)
            return
        except PlaywrightTimeout:
            if attempt == ATTEMPTS:
                raise


def _show_report(page: Page, series: str) -> None:
    page.wait_for_function(_IMAGE_IS_DRAWN)  # a report loaded before its image is not drawn
    page.get_by_text(series).first.dblclick()
    page.get_by_text(CERTAINTY).first.wait_for(timeout=DRAWN_MS)
    no = page.get_by_role("button", name="No", exact=True)  # "… continue tracking measurements?"
    no.click()
    no.wait_for(state="hidden")
    page.wait_for_function(_BOXES_ARE_IN_PLACE, timeout=DRAWN_MS)


def drawn_boxes(page: Page) -> list[dict[str, Any]]:
    """The report's marks as OHIF draws them: `corners` in image pixels, `screen` on the page, `labels`."""
    drawn: list[dict[str, Any]] = page.evaluate(_DRAWN_BOXES)
    return drawn


def save_picture(png: bytes, path: Path) -> None:
    """Writes a screenshot as JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.save(path, "JPEG", quality=82, optimize=True, progressive=True)


def take_picture(files: list[Path], picture: Path, dist: Path) -> list[dict[str, Any]]:
    """Stores the files in an Orthanc of its own, opens their report, takes the picture; what was drawn."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # an extra

    from tests.clinic.conftest import CHROMIUM_ARGUMENTS, CHROMIUMS  # noqa: PLC0415  # needs the path set below
    from tests.clinic.orthanc_server import running_orthanc  # noqa: PLC0415

    study = str(dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    browser_path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    with tempfile.TemporaryDirectory() as folder, running_orthanc(Path(folder)) as orthanc:
        for file in files:
            answer = requests.post(f"{orthanc.url}/instances", data=file.read_bytes(), timeout=60)
            answer.raise_for_status()
        with serving_ohif(orthanc.dicomweb_url, dist=dist) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=CHROMIUM_ARGUMENTS)
            page = browser.new_page(viewport=PICTURE)
            open_report(page, url, study)
            drawn = drawn_boxes(page)
            save_picture(page.screenshot(), picture)
            browser.close()
    return drawn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="an image and its report")
    parser.add_argument("--dicomweb", metavar="URL", help="of a PACS: serve OHIF for it until Ctrl+C")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--dist", type=Path, default=DIST, help="OHIF's built pages (default: %(default)s)")
    parser.add_argument("--picture", type=Path, default=Path("ohif.jpg"))
    args = parser.parse_args()
    if not (args.dist / "index.html").is_file():
        print(f"{args.dist}: OHIF is not there: sh scripts/clinic/setup.sh fetches it.", file=sys.stderr)
        return 2
    if args.dicomweb:
        with OhifServer(args.dist, args.dicomweb, args.port) as server, suppress(KeyboardInterrupt):
            print(f"OHIF on {args.dicomweb}: open {server.url}", flush=True)
            server.serve_forever()
        return 0
    if not args.files:
        parser.error("give --dicomweb URL, or an image and its report")
    drawn = take_picture(args.files, args.picture, args.dist)
    print(f"wrote {args.picture}: {len(drawn)} boxes drawn")
    return 0 if drawn else 1


# OHIF's own state: `cornerstoneTools` keeps what is drawn, in the world's units, to which the image's first
# pixel centre is 0.
_DRAWN_BOXES = """() => {
  const viewports = cornerstone.getRenderingEngines().flatMap((each) => each.getViewports());
  const shown = viewports.filter((each) => each.canvas.isConnected && each.getCurrentImageId?.());
  const viewport = shown.sort((a, b) => b.canvas.clientWidth - a.canvas.clientWidth)[0];
  if (!viewport) return [];
  const image = viewport.getCurrentImageId();
  const left = viewport.canvas.getBoundingClientRect();
  const all = cornerstoneTools.annotation.state.getAllAnnotations();
  return all.filter((each) => each.metadata.toolName === "DICOMSRDisplay").map((each) => {
    const points = Object.values(each.data.renderableData).flat(2);
    return {
      corners: points.map((point) => cornerstone.utilities.worldToImageCoords(image, point)),
      screen: points.map((point) => viewport.worldToCanvas(point)).map(([x, y]) => [x + left.x, y + left.y]),
      labels: each.data.labels.map((label) => `${label.label}: ${label.value}`),
    };
  });
}"""

_IMAGE_IS_DRAWN = """() => {
  const canvas = document.querySelector("canvas.cornerstone-canvas");
  if (!canvas?.width || !/W:/.test(document.body.innerText)) return false;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((grey, n) => n % 4 === 0 && grey > 64);
}"""
_BOXES_ARE_IN_PLACE = f"""() => {{
  const drawn = ({_DRAWN_BOXES})();
  return drawn.length > 0 && drawn.every(({{ screen: [[ax, ay], , [bx, by]] }}) =>
    Math.abs(bx - ax) > 5 && Math.abs(by - ay) > 5);
}}"""

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # the tests' Orthanc
    sys.exit(main())
