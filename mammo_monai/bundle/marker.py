"""A bundle's inference held in memory: marks images one by one, as `mammo-monai predict` marks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import torch
from monai.transforms import Compose

from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.parts import bundle_parts
from mammo_monai.bundle.run import path_value
from mammo_monai.data import MammogramDataset, sample_of_file
from mammo_monai.errors import BundleError
from mammo_monai.inference import (
    ImageChecks,
    Inferer,
    ShownAt,
    check_inferer,
    described_model,
    detections_in_original,
    explained_error,
    image_checks,
    shown_at,
    statistics_of_bundle,
)
from mammo_monai.records import Detections

if TYPE_CHECKING:
    from mammo_monai.data.samples import Sample

_ACCEPT = "evaluator#accept"  # of the part that a marker stands in for
_IDS = ("inferer", "preprocessing", "model", "device")


@dataclass(frozen=True, eq=False)
class Marker:
    """Marks one image after the other with one model; threads wait for each other.

    Attributes:
        model: what detections.json says of the model: bundle, version, weights_sha256, inference,
            operating_point.
        operating_point: what is shown; None shows everything above the bundle's own score threshold.
        checks: which images are refused, and which are warned of.
    """

    inferer: Inferer
    transform: Compose
    device: torch.device
    model: Mapping[str, object]
    operating_point: ShownAt | None = None
    checks: ImageChecks = field(default_factory=ImageChecks)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __call__(self, image: Path | str, *, record_id: str | None = None) -> Detections:
        """The marks of an image file, highest score first, in original pixels.

        Args:
            image: DICOM, PNG, … as `mammo-monai predict` takes them.
            record_id: what the detections are called; None derives it from the file's name.

        Raises:
            MammoError: the image cannot be read, prepared or marked; the message names its file.
        """
        return self.of_sample(sample_of_file(Path(image), record_id), named=Path(image))

    def of_sample(self, sample: Sample, *, named: Path | None = None) -> Detections:
        """The marks of a sample of `load_samples`, with what a manifest tells of its image.

        Args:
            named: how messages call the image's file; None: as the sample does.

        Raises:
            MammoError: as marking a file.
        """
        try:
            with self._lock:
                found = self._marked(sample)
        except Exception as error:  # whatever a file, a transform or the detector raises is this image's
            image = Path(sample["image_path"]) if named is None else named
            raise explained_error(error, sample["record_id"], image) from error
        return found if self.operating_point is None else self.operating_point(found)

    def _marked(self, sample: Sample) -> Detections:
        warnings = self.checks.before(Path(sample["image_path"]))
        prepared = MammogramDataset([sample], self.transform)[0]
        prediction = self.inferer(prepared["image"].to(self.device))
        found = detections_in_original(prepared, prediction, min_area_mm2=self.inferer.min_area_mm2)
        return self.checks(prepared, found, warnings)


def load_marker(
    bundle: str | Path,
    *,
    fppi: float | None = None,
    weights: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    is_trusted: bool = False,
) -> Marker:
    """Builds a bundle's network, inferer and preprocessing, once for many images.

    Args:
        bundle: a folder or name, see `find_bundle`.
        fppi: shows what the bundle's operating point for that many false positives per image shows; None
            shows everything.
        weights: another file than the bundle's own.
        overrides: ids of inference.json and their values, as `mammo-monai predict` takes them (`device`,
            `mode`, `precision`, `evaluator#accept` …).
        is_trusted: as `run_bundle`.

    Raises:
        BundleError: as `bundle_parts` and `shown_at`, or an id is missing in inference.json.
        WeightsError: no weights, damaged ones, or others than the operating point is for.
        ManifestError: operating points or training statistics that break their format.
        ValueError: weights given twice, or a precision that the device cannot.
    """
    if weights is not None and "weights" in (overrides or {}):
        raise ValueError("weights are given twice: by weights and among the overrides. Give them once.")
    given = {**({} if weights is None else {"weights": path_value(weights)}), **(overrides or {})}
    accept = given.pop(_ACCEPT, ())
    accepted = [str(each) for each in accept] if isinstance(accept, list | tuple) else [str(accept)]
    parts = bundle_parts(bundle, _IDS, given, is_trusted=is_trusted)
    root = find_bundle(bundle)
    if missing := [name for name in _IDS[:3] if name not in parts]:
        raise BundleError(f"{root.name}, inference.json: needs the ids {', '.join(missing)} to mark images.")
    point = None if fppi is None else shown_at(root, fppi)
    inferer, model = parts["inferer"], dict(parts["model"])
    about = described_model(model, inferer, point)
    if point is not None:
        settings = about["inference"]
        point.check_model(model.get("weights_sha256"))
        point.check_inference(settings if isinstance(settings, Mapping) else {})
    device = torch.device(parts.get("device", "cpu"))
    check_inferer(inferer, device)
    checks = image_checks(statistics_of_bundle(root), model, accepted)
    return Marker(inferer, parts["preprocessing"], device, about, point, checks)
