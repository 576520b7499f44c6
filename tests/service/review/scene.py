"""A worklist on disk: a DICOM film of a right breast, pictures, an image without marks and a lost one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mammo_monai.records import Detections, ImageRecord, Laterality, ViewPosition
from mammo_monai.schema import Manifest, write_detections, write_manifest
from mammo_monai.service.review import ReviewServer
from tests.dicom_factory import grey_ramp, write_mammogram

WIDTH, HEIGHT = 60, 90
MODEL = {"bundle": "some_marker", "version": "1.0", "operating_point": {"threshold": 0.3, "fppi": 1.0}}


def write_scene(folder: Path) -> Path:
    """Writes images and detections.json; returns its path. Boxes lie in the 60 × 90 image."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = grey_ramp((HEIGHT, WIDTH), bits=14)
    tags = {"ImageLaterality": "R", "ViewPosition": "MLO", "StudyInstanceUID": "1.2.3"}
    write_mammogram(folder / "r_mlo.dcm", pixels, tags={**tags, "SeriesInstanceUID": "1.2.3.4"})
    Image.fromarray((pixels >> 6).astype(np.uint8)).save(folder / "p_L_CC.png")
    Image.fromarray(pixels.astype(np.uint16)).save(folder / "p_R_CC.png")
    boxes = np.array([[5.0, 10, 25, 40], [30, 50, 55, 80], [1, 1, 9, 9]])
    found = [
        Detections(
            "rmlo", boxes, np.array([0.4, 0.9, 0.1]), np.zeros(3, dtype=np.int64), folder / "r_mlo.dcm"
        ),
        Detections("lcc", boxes[:1], np.array([0.8]), np.array([1]), Path("p_L_CC.png")),  # beside the file
        Detections("rcc", image=folder / "p_R_CC.png"),
        Detections("lost", boxes[:1], np.array([0.5]), np.zeros(1, dtype=np.int64), folder / "gone.png"),
    ]
    write_detections(folder / "detections.json", found, MODEL)
    return folder / "detections.json"


def write_scene_manifest(folder: Path) -> Path:
    """A manifest that says whose images these are."""
    facts = [
        ("rmlo", "r_mlo.dcm", "anna", Laterality.RIGHT, ViewPosition.MLO),
        ("lcc", "p_L_CC.png", "anna", Laterality.LEFT, ViewPosition.CC),
        ("rcc", "p_R_CC.png", "anna", Laterality.RIGHT, ViewPosition.CC),
        ("lost", "gone.png", "berta", None, None),
    ]
    records = tuple(
        ImageRecord(folder / name, record_id, who, WIDTH, HEIGHT, laterality=side, view_position=view)
        for record_id, name, who, side, view in facts
    )
    write_manifest(folder / "manifest.json", Manifest(test=records))
    return folder / "manifest.json"


def accepted(review: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A review with every mark accepted and the image reviewed."""
    marks = [{**mark, "verdict": "accepted"} for mark in review["marks"]]
    return {**review, "marks": marks, "is_reviewed": True, "reader": "AB", **more}


def own_box(box: list[float], name: str = "r1") -> dict[str, Any]:
    """A mark as the page sends one that a reader drew."""
    facts = {"id": name, "source": "reader", "score": None, "label": 0, "verdict": "accepted", "comment": ""}
    return {**facts, "box": box}


class Client:
    """Talks to a server as the page does; `headers` replace or, with None, remove what it sends."""

    def __init__(self, server: ReviewServer) -> None:
        self.server = server

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> tuple[int, Any, Mapping[str, str]]:
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        sent: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.server.port}",
            "X-Review-Token": self.server.guard.token,
            "Content-Type": "application/json",
            **(headers or {}),
        }
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.putrequest(method, path, skip_host=True)
        for name, value in {**sent, **({} if raw is None else {"Content-Length": str(len(raw))})}.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(raw)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        kind = answer.headers.get_content_type()
        read = json.loads(content) if kind == "application/json" else content
        return answer.status, read, dict(answer.headers.items())
