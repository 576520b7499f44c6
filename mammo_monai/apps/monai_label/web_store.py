"""The mammograms of a PACS, over DICOMweb, as MONAI Label's datastore: one image is one instance."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import Any, Protocol

from monailabel.datastore.local import DataModel, ImageLabelModel
from pydicom.dataset import Dataset
from pydicom.uid import BreastTomosynthesisImageStorage

from mammo_monai.apps.monai_label.folder_store import MammogramFolder
from mammo_monai.errors import DicomError
from mammo_monai.files import atomic_path

logger = logging.getLogger(__name__)

SEARCH_AGAIN_S = 30.0
_UID = re.compile(r"[0-9][0-9.]{0,63}")  # PS3.5 9.1; zeros in front of numbers occur
_SOP_CLASS, _SOP, _STUDY, _SERIES = "00080016", "00080018", "0020000D", "0020000E"


class Client(Protocol):
    """What is asked of a DICOMweb client: dicomweb-client's own methods."""

    def search_for_instances(self, **options: Any) -> list[dict[str, Any]]:
        """Instances as DICOM JSON (QIDO-RS, PS3.18 10.6)."""

    def retrieve_instance(self, *uids: str, **options: Any) -> Dataset:
        """One instance by study, series and SOP Instance UID (WADO-RS, PS3.18 10.4)."""


class MammogramWeb(MammogramFolder):
    """Images of a PACS by SOP Instance UID; fetched when they are asked for, labels kept beside the copies.

    MONAI Label's own class takes a series for an image, though a series of mammograms often holds four; it
    converts images to NIfTI, which loses laterality and pixel spacing, and saves final labels as DICOM
    segmentations alone, which boxes are not. It also needs dcmqi for that; this class does not.

    Args:
        client: of the PACS.
        folder: fetched images lie in it, readable by their owner alone: they are patients' images.
        search_filter: of the search for instances, such as {"Modality": "MG"}.
    """

    def __init__(self, client: Client, folder: Path, search_filter: dict[str, Any]) -> None:
        self._client = client
        self._search_filter = search_filter
        self._searched_at: float | None = None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(folder)

    def list_images(self) -> list[str]:
        """The SOP Instance UIDs of the mammograms in the PACS."""
        self._search()
        return list(super().list_images())

    def get_unlabeled_images(
        self, label_tag: str | None = None, labels: list[str] | None = None
    ) -> list[str]:
        """Images of the PACS without a final label."""
        self._search()
        return list(super().get_unlabeled_images(label_tag, labels))

    def get_image_uri(self, image_id: str) -> str:
        """The fetched copy of an image; "" for an id that the PACS does not have."""
        if image_id not in self._datastore.objects:
            self._search(is_again=True)
        path = Path(super().get_image_uri(image_id))
        if image_id in self._datastore.objects and not path.is_file():
            self._fetch(image_id, path)
        return str(path) if path.is_file() else ""

    def _search(self, *, is_again: bool = False) -> None:
        now = time.monotonic()
        if not is_again and self._searched_at is not None and now - self._searched_at < SEARCH_AGAIN_S:
            return
        self._init_from_datastore_file()
        self._searched_at = now
        try:
            found = self._client.search_for_instances(
                search_filters=self._search_filter,
                fields=["SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"],
                get_remaining=True,
            )
        except OSError as error:  # what requests raises
            logger.warning(
                "the PACS does not answer (%s); going on with the images known", type(error).__name__
            )
            return
        self._update(found)

    def _update(self, found: list[dict[str, Any]]) -> None:
        """Takes over what the PACS holds; images that are gone stay while they have labels."""
        objects, known = self._datastore.objects, set()
        for each in found:
            if _value(each, _SOP_CLASS) == BreastTomosynthesisImageStorage:
                continue  # many frames; a box on one of them would say nothing of the others
            uid = _value(each, _SOP)
            if not _UID.fullmatch(uid):
                continue  # none, or what is no UID: it names the file of the copy
            known.add(uid)
            if uid not in objects:
                info = {"StudyInstanceUID": _value(each, _STUDY), "SeriesInstanceUID": _value(each, _SERIES)}
                objects[uid] = ImageLabelModel(
                    image=DataModel(ext=".dcm", info={**info, "name": f"{uid}.dcm"})
                )
        for uid in [uid for uid in objects if uid not in known and not objects[uid].labels]:
            del objects[uid]
        self._update_datastore_file()
        logger.info("the PACS holds %d mammograms", len(known))

    def _fetch(self, image_id: str, path: Path) -> None:
        info = self._datastore.objects[image_id].image.info
        start = time.monotonic()
        # As stored: a PACS that transcodes may change pixels, and Debian's Orthanc crashes on JPEG-LS.
        try:
            found = self._client.retrieve_instance(
                info["StudyInstanceUID"],
                info["SeriesInstanceUID"],
                image_id,
                media_types=(("application/dicom", "*"),),
            )
        except OSError as error:  # what requests raises
            raise DicomError(
                f"image {image_id}: expected the PACS to send it, got {type(error).__name__}. Try again when "
                "it answers."
            ) from error
        with atomic_path(path) as part:
            found.save_as(part, enforce_file_format=True)
        path.chmod(0o600)
        logger.info("fetched an image in %.1f s", time.monotonic() - start)

    def _add_non_existing_images(self) -> int:
        return 0  # the PACS says which images there are

    def _remove_non_existing(self) -> int:
        """Drops labels whose file is gone; images need no copy here."""
        self._init_from_datastore_file()
        n_gone = 0
        for image_id, found in self._datastore.objects.items():
            for tag in list(found.labels):
                name = self._filename(image_id, found.labels[tag].ext)
                if not (Path(self._datastore.label_path(tag)) / name).is_file():
                    del found.labels[tag]
                    n_gone += 1
        return n_gone


def _value(instance: dict[str, Any], tag: str) -> str:
    """The first value of an element in DICOM JSON (PS3.18 F.2.2); "" where there is none."""
    return str(next(iter(instance.get(tag, {}).get("Value", [])), ""))
