"""What a bundle needs to be asked why: its model as an explainer, its images, its description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.parts import bundle_parts
from mammo_monai.errors import BundleError
from mammo_monai.inference.saliency import ClassifierExplainer, DetectorExplainer

if TYPE_CHECKING:
    from mammo_monai.inference.saliency import Explainer
    from mammo_monai.inference.sources import Samples

_IDS = ("detector", "classifier", "inferer", "dataset", "model")


@dataclass(frozen=True, eq=False)
class BundleExplainer:
    """A bundle's model, its transformed images, and what detections.json would say of the model."""

    explainer: Explainer
    dataset: Samples
    model: Mapping[str, object]


def bundle_explainer(
    bundle: str | Path, overrides: Mapping[str, object], *, is_trusted: bool = False
) -> BundleExplainer:
    """Builds network, detector or classifier and preprocessing of a bundle's inference.json, as a run does.

    Raises:
        BundleError: as `bundle_parts`, or the file has neither detector nor classifier.
        ValueError: an inferer that shows an image in parts.
    """
    parts = bundle_parts(bundle, _IDS, overrides, is_trusted=is_trusted)
    name = find_bundle(bundle).name
    if "dataset" not in parts or not parts.keys() & {"detector", "classifier"}:
        raise BundleError(f"{name}, inference.json: needs an id detector or classifier, and an id dataset.")
    if "detector" in parts:
        explainer: Explainer = DetectorExplainer(parts["inferer"])
    else:
        explainer = ClassifierExplainer(parts["classifier"], parts.get("inferer"))
    return BundleExplainer(explainer, parts["dataset"], {"bundle": name, **dict(parts.get("model", {}))})
