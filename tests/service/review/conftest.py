"""A server on a scene, talked to over HTTP in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mammo_monai.service.review import ReviewServer, open_review, read_worklist
from tests.service.review.scene import Client, write_scene, write_scene_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the server keeps its reviews."""
    return tmp_path / "review"


@pytest.fixture
def client(tmp_path: Path, folder: Path) -> Iterator[Client]:
    """A page's view of a server on the scene."""
    detections = write_scene(tmp_path / "images")
    worklist = read_worklist(detections, manifest=write_scene_manifest(tmp_path / "images"))
    with open_review(worklist, folder) as session, ReviewServer(session).running() as server:
        yield Client(server)
