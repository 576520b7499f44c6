"""MONAI Label's tasks around a bundle: mark one image, mark many, train on what people corrected."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from monailabel.interfaces.tasks.batch_infer import BatchInferTask
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.interfaces.tasks.train import TrainTask

from mammo_monai.apps.fine_tuning import TuningOptions, fine_tune, tuning_options
from mammo_monai.apps.mark_results import marks_json, slicer_markups, slicer_spacing_mm
from mammo_monai.apps.marking import EVERYTHING, BundleMarks, mark_request
from mammo_monai.apps.monai_label.folder_store import MammogramFolder
from mammo_monai.apps.monai_label.http_errors import HTTPException, answered
from mammo_monai.apps.weight_versions import LATEST, SHIPPED
from mammo_monai.files import sha256_of
from mammo_monai.words import counted

logger = logging.getLogger(__name__)

LABELS = {"mass": 0}


class MarkTask(InferTask):  # type: ignore[misc]  # monailabel carries no types
    """Marks one image: JSON for every client, and a Markups file for 3D Slicer.

    Args:
        marks: the bundle.
        conf: of the server; `weights` and `fppi` are what a request that says nothing gets.
    """

    def __init__(self, marks: BundleMarks, conf: Mapping[str, str]) -> None:
        super().__init__(
            InferType.DETECTION, LABELS, 2, f"Marks masses with {marks.root.name}; never diagnoses."
        )
        self.marks = marks
        self._conf = conf

    def is_valid(self) -> bool:
        """Always: a bundle without weights is listed, and says on request what it lacks."""
        return True

    def get_path(self, validate: bool = True) -> str | None:
        """The bundle's own weights, for clients that download a model."""
        path = self.marks.root / "models" / "model.safetensors"
        return str(path) if path.is_file() else None

    def config(self) -> dict[str, Any]:
        """What a client may choose; the first of each list is what it gets otherwise."""
        default = self.marks.default_point()
        points = [f"{each.fppi:g}" for each in self.marks.points()]
        first = [self._conf.get("fppi") or (f"{default.fppi:g}" if default else EVERYTHING)]
        weights = [self._conf.get("weights") or SHIPPED, SHIPPED, LATEST, *self.marks.versions.names()]
        return {
            "fppi": list(dict.fromkeys([*first, *points, EVERYTHING])),
            "weights": list(dict.fromkeys(weights)),
            "device": ["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"],
        }

    def weights_sha256(self) -> str | None:
        """Of the weights that marks without further words; None where there are none."""
        named = self.marks.versions.path(self._conf.get("weights") or SHIPPED)
        path = named or Path(self.get_path() or "")
        return sha256_of(path) if path.is_file() else None

    def __call__(self, request: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Markups file or None, and the marks as JSON, see `marks_json`, with the image's `uncertainty`.

        No file is written for an image without marks, unless it is to be saved as a label: 3D Slicer refuses
        Markups without one. Nor where nobody can tell what spacing Slicer gives the image.
        """
        image = request.get("image")
        if not isinstance(image, str) or not Path(image).is_file():
            raise HTTPException(404, "no such image: give the id of one in the datastore, or upload a file.")
        asked = mark_request(
            request, weights=self._conf.get("weights") or SHIPPED, fppi=self._conf.get("fppi") or ""
        )
        marked = self.marks(Path(image), asked)
        result = {**marks_json(marked.shown, marked.model), "uncertainty": marked.uncertainty}
        logger.info(counted(len(marked.shown.boxes), "mark"))
        spacing_mm = slicer_spacing_mm(Path(image))
        is_wanted = request.get("result_write_to_file", True) and spacing_mm is not None
        if not is_wanted or not (len(marked.shown.boxes) or request.get("save_label")):
            return None, result
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False, encoding="utf-8") as stream:
            json.dump(slicer_markups(marked.shown, spacing_mm), stream, indent=1)  # type: ignore[arg-type]  # is_wanted
        return stream.name, result


class MarkAllTask(BatchInferTask):  # type: ignore[misc]  # monailabel carries no types
    """Marks many images; one that cannot be marked is named in the result and stops none of the others."""

    def __call__(
        self, request: Mapping[str, Any], datastore: MammogramFolder, infer: Callable[..., dict[str, Any]]
    ) -> dict[str, Any]:
        """What each image got, by its id: a label, or why there is none."""

        def mark(one: Mapping[str, Any], store: MammogramFolder) -> dict[str, Any]:
            try:
                return infer(one, store)
            except HTTPException as error:
                logger.warning("one image was not marked: %s", error.detail)
                return {"error": error.detail}

        # MONAI Label deals images to all GPUs there are, by a division that fails where there is none.
        has_gpu = torch.cuda.is_available()
        wanted = request if has_gpu else {**request, "multi_gpu": False, "device": "cpu"}
        found: dict[str, Any] = super().__call__(wanted, datastore, mark)
        n_failed = sum("error" in each for each in found.values())
        images = counted(len(found), "image")
        logger.info("marked %d of %s, %d failed", len(found) - n_failed, images, n_failed)
        return found


class TuneTask(TrainTask):  # type: ignore[misc]  # monailabel carries no types
    """Fine-tunes the bundle on the final labels; each run makes a new version of weights."""

    def __init__(self, marks: BundleMarks) -> None:
        super().__init__(
            f"Fine-tunes {marks.root.name} on submitted boxes; makes new weights, replaces none."
        )
        self.marks = marks

    def config(self) -> dict[str, Any]:
        """What a client may choose; learning_rate 0 is a tenth of the bundle's own."""
        return {
            "max_epochs": TuningOptions.epochs,
            "learning_rate": 0,
            "val_split": TuningOptions.validation_fraction,
            "weights": [SHIPPED, LATEST, *self.marks.versions.names()],
            "device": ["cuda", "cpu"] if torch.cuda.is_available() else ["cpu"],
        }

    def stats(self) -> dict[str, Any]:
        """Of the newest version, with the names that 3D Slicer looks for; empty before a training."""
        names = self.marks.versions.names()
        if not names:
            return {}
        about = self.marks.versions.about(names[-1])
        epochs = about.get("epochs")
        return {"versions": names, "latest": about, "epoch": epochs, "total_epochs": epochs}

    def __call__(self, request: Mapping[str, Any], datastore: MammogramFolder) -> dict[str, object]:
        """Trains; returns what was noted of the new version."""
        places = {str(datastore.folder): "the datastore", str(self.marks.root): self.marks.root.name}
        with answered(places), _kept_logging():
            datastore.local_images(datastore.get_labeled_images())
            return fine_tune(self.marks.root, datastore.folder, self.marks.versions, tuning_options(request))


@contextmanager
def _kept_logging() -> Iterator[None]:
    """Gives the server its handlers back: a bundle's run sets up logging for a process of its own."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
