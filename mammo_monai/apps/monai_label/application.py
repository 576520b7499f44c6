"""The application: bundles of this package served by MONAI Label, on a folder or a PACS."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.config import settings
from monailabel.interfaces import app as monailabel_app
from monailabel.interfaces.app import MONAILabelApp
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random

from mammo_monai import __version__
from mammo_monai.apps.marking import BundleMarks, is_detector
from mammo_monai.apps.monai_label.active_learning import NAME, LeastCertain, UncertaintyScoring
from mammo_monai.apps.monai_label.folder_store import MammogramFolder
from mammo_monai.apps.monai_label.http_errors import HTTPException, answered
from mammo_monai.apps.monai_label.tasks import LABELS, MarkAllTask, MarkTask, TuneTask
from mammo_monai.apps.monai_label.web_store import MammogramWeb
from mammo_monai.apps.weight_versions import WeightVersions
from mammo_monai.bundle import bundle_names, find_bundle
from mammo_monai.errors import BundleError

MAMMOGRAMS = {"Modality": "MG"}
_MONAI_LABELS_OWN = {"Modality": "CT"}


class MammographyApp(MONAILabelApp):  # type: ignore[misc]  # monailabel carries no types
    """Marks, batches, active learning and fine-tuning for mammograms.

    Values of `--conf`: `models` (bundles, comma separated; default: those that detect and have weights),
    `fppi`, `weights` (what a request that says nothing gets), `model_dir` (where trained versions go;
    default: model/ in the application's folder).
    """

    studies: str

    def __init__(self, app_dir: str, studies: str, conf: Mapping[str, str]) -> None:
        # They name files, and hospitals name files after patients.
        logging.getLogger("mammo_monai.data.samples").setLevel(logging.WARNING)
        logging.getLogger("mammo_monai.readers.audit").setLevel(logging.ERROR)
        home = Path(conf.get("model_dir") or Path(app_dir) / "model").absolute()
        self._marks = {
            name: BundleMarks(name, WeightVersions(home / find_bundle(name).name)) for name in _models(conf)
        }
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=dict(conf),
            name="mammo-monai",
            description="Marks masses in mammograms for a reader to look at. Research only; never diagnoses.",
            version=__version__,
            labels=LABELS,
        )

    def init_datastore(self) -> MammogramFolder:
        """The folder of `--studies`, or the PACS behind its URL."""
        if self.studies.startswith(("http://", "https://")):
            self.studies = self.studies.strip().rstrip("/")
            return self._web_store()
        return MammogramFolder(
            Path(self.studies),
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )

    def init_infers(self) -> dict[str, MarkTask]:
        """One task per bundle, by its name."""
        return {name: MarkTask(marks, self.conf) for name, marks in self._marks.items()}

    def init_trainers(self) -> dict[str, TuneTask]:
        """One task per bundle, by its name."""
        return {name: TuneTask(marks) for name, marks in self._marks.items()}

    def init_batch_infer(self) -> MarkAllTask:
        """Marks all images, those with or those without a label."""
        return MarkAllTask()

    def init_strategies(self) -> dict[str, Any]:
        """What `/activelearning/NAME` offers next."""
        return {NAME: LeastCertain(), "random": Random(), "first": First()}

    def init_scoring_methods(self) -> dict[str, UncertaintyScoring]:
        """What `/scoring/NAME` notes beside the images."""
        return {NAME: UncertaintyScoring(self._infers)}

    def infer(self, request: dict[str, Any], datastore: Any = None) -> dict[str, Any]:
        """Marks an image of the datastore, or one that was uploaded.

        Raises:
            HTTPException: see `answered`; 404 for an unknown image or model.
        """
        image = request.get("image")
        with answered():
            path = self._known(image)
        bundles = {str(marks.root): marks.root.name for marks in self._marks.values()}
        with answered({path: f"image {image}", **bundles}):
            result: dict[str, Any] = super().infer(request, datastore)
        return result

    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        """Fine-tunes a bundle on the final labels.

        Raises:
            HTTPException: see `answered`.
        """
        with answered():
            result: dict[str, Any] = super().train(request)
        return result

    def scoring(self, request: dict[str, Any], datastore: Any = None) -> Any:
        """Notes the uncertainty of the images.

        Raises:
            HTTPException: see `answered`.
        """
        with answered():
            return super().scoring(request, datastore)

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """The image to look at next; empty where every one has a label.

        Raises:
            HTTPException: see `answered`.
        """
        with answered():
            result: dict[str, Any] = super().next_sample(request)
        return result

    def _known(self, image: object) -> str:
        """The file of an image. MONAI Label would open any file of the server that a client names."""
        store = self.datastore()
        if not isinstance(image, str) or not image:
            raise HTTPException(
                404, "no image was named: give the id of one in the datastore, or upload a file."
            )
        if Path(image).is_file():
            uploaded = [tempfile.gettempdir(), *([self._sessions.store_path] if self._sessions else [])]
            path = Path(image).resolve()
            if any(path.is_relative_to(Path(each).resolve()) for each in uploaded):
                return image
        if not (found := store.get_image_uri(image)):
            raise HTTPException(
                404, f"image {image!r} is not in the datastore; its ids stand in /datastore/?output=all."
            )
        return str(found)

    def _web_store(self) -> MammogramWeb:
        user, password = settings.MONAI_LABEL_DICOMWEB_USERNAME, settings.MONAI_LABEL_DICOMWEB_PASSWORD
        make_session = monailabel_app.create_session_from_user_pass
        client = monailabel_app.DICOMwebClientX(
            url=self.studies,
            session=make_session(user, password) if user and password else None,
            qido_url_prefix=settings.MONAI_LABEL_QIDO_PREFIX,
            wado_url_prefix=settings.MONAI_LABEL_WADO_PREFIX,
            stow_url_prefix=settings.MONAI_LABEL_STOW_PREFIX,
        )
        home = (
            settings.MONAI_LABEL_DICOMWEB_CACHE_PATH.strip()
            or Path.home() / ".cache" / "monailabel" / "dicom"
        )
        folder = Path(home) / hashlib.sha256(self.studies.encode("utf-8")).hexdigest()[:16]
        asked = dict(settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER)
        return MammogramWeb(client, folder, MAMMOGRAMS if asked == _MONAI_LABELS_OWN else asked)


def _models(conf: Mapping[str, str]) -> list[str]:
    """The bundles to serve.

    Raises:
        BundleError: one that is named is not there or detects nothing, or none is named and none has weights.
    """
    named = [each.strip() for each in conf.get("models", "").split(",") if each.strip()]
    for name in named:
        if not is_detector(find_bundle(name)):
            raise BundleError(f"{name}: classifies images and marks no boxes; name a bundle that detects.")
    if named:
        return named
    roots = {name: find_bundle(name) for name in bundle_names()}
    ready = [
        name
        for name, root in roots.items()
        if is_detector(root) and (root / "models" / "model.safetensors").is_file()
    ]
    if not ready:
        raise BundleError("no bundle has weights: name one with --conf models NAME, or train one first.")
    return ready
