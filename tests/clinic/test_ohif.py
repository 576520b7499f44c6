"""OHIF on Orthanc's DICOMweb in a real browser: an image with the boxes of its report."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import requests
from PIL import Image
from pydicom import dcmread

from mammo_monai.cli.main import main
from mammo_monai.records import Detections
from mammo_monai.schema import write_detections
from scripts.clinic.ohif import PICTURE, drawn_boxes, open_report, serving_ohif
from tests.clinic.orthanc_server import Orthanc

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MODEL = {"bundle": "cbis_mass_detection", "version": "0.1.0", "weights_sha256": "5" * 64}
BOXES = np.array([[700.0, 1500.0, 1100.0, 1950.0], [1800.0, 2200.0, 2150.5, 2600.25]])
SCORES = np.array([0.87, 0.42])


@pytest.fixture
def report(films: list[Path], tmp_path: Path) -> Path:
    """The report of a real film, made by the command."""
    detections = Detections("film", BOXES, SCORES, np.zeros(2, dtype=np.int64), films[0])
    write_detections(tmp_path / "detections.json", [detections], MODEL)
    out = tmp_path / "sr"
    assert main(["dicom", "sr", str(tmp_path / "detections.json"), "-o", str(out)]) == 0
    return next(out.glob("*.dcm"))


@pytest.fixture
def viewer(empty_orthanc: Orthanc, films: list[Path], report: Path, ohif: Path) -> Iterator[str]:
    """OHIF's address, for a PACS that holds the film and its report."""
    for file in (films[0], report):
        answer = requests.post(f"{empty_orthanc.url}/instances", data=file.read_bytes(), timeout=60)
        answer.raise_for_status()
    with serving_ohif(empty_orthanc.dicomweb_url, dist=ohif) as url:
        yield url


def test_ohif_draws_the_boxes_of_our_report_where_they_are_with_their_certainty(
    viewer: str, films: list[Path], chromium: Browser
) -> None:
    page = chromium.new_page(viewport=PICTURE)
    open_report(page, viewer, str(dcmread(films[0], stop_before_pixels=True).StudyInstanceUID))
    drawn = sorted(drawn_boxes(page), key=lambda each: each["corners"][0][0])
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    text = page.locator("svg text, svg tspan").all_text_contents()
    page.close()
    assert len(drawn) == 2
    for mark, box, score in zip(drawn, BOXES, SCORES, strict=True):
        corners = np.array(mark["corners"])
        np.testing.assert_allclose([*corners.min(axis=0), *corners.max(axis=0)], box, atol=0.01)
        assert any(label == f"Certainty of Finding: {100 * score:.2f} %" for label in mark["labels"])
        assert f"{100 * score:.2f} %" in " ".join(text)
        assert coloured_share(picture, np.array(mark["screen"])) > 0.3


def coloured_share(picture: np.ndarray, corners: np.ndarray) -> float:
    """Share of a box's upper edge with a coloured pixel at most two pixels away; film is grey."""
    (x_min, y), (x_max, _) = corners.min(axis=0), corners.max(axis=0)
    columns = np.arange(round(x_min) + 3, round(x_max) - 3)
    strip = picture[round(y) - 2 : round(y) + 3, columns]
    saturation = strip.max(axis=2) - strip.min(axis=2)
    return float(np.mean(saturation.max(axis=0) > 60))


def test_the_server_passes_on_reading_alone_and_serves_no_file_beside_its_pages(viewer: str) -> None:
    assert requests.get(f"{viewer}/dicom-web/studies", timeout=30).json()
    assert requests.post(f"{viewer}/dicom-web/studies", data=b"x", timeout=30).status_code == 501
    escaped = requests.get(f"{viewer}/%2e%2e/package.json", timeout=30)
    assert "<html" in escaped.text.lower()
    assert "window.config" in requests.get(f"{viewer}/app-config.js", timeout=30).text
