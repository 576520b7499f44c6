"""A copy of a bundle that MONAI Label's own `monaibundle` app serves: its file names, its ids, its frames.

That app swaps the detector's network for one it fills from `models/model.pt`, asks the detector for `box` and
`label`, and writes the boxes for 3D Slicer as six numbers: centre and size in mm. The copy's configuration is
the bundle's own inference.json with parts around it that speak so; marks and numbers are the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mammo_monai.apps.folders import new_folder
from mammo_monai.apps.mark_results import marks_json, roi_mm, slicer_spacing_mm
from mammo_monai.bundle import bundle_parts, find_bundle
from mammo_monai.bundle.sync import format_config
from mammo_monai.data import load_samples
from mammo_monai.errors import BundleError
from mammo_monai.files import atomic_path, write_text_atomic
from mammo_monai.inference import detections_in_original, shown_at
from mammo_monai.inference.inferers import Inferer

_COPIED = ("LICENSE", "configs/metadata.json", "docs", "models/operating_points.json")
_BARE = "bare_detector"
# Where images come from and detections go: the app's business.
_DROPPED = {"dataset_dir", "input", "output", "split", "dataset", "evaluator", "inference", "run", "on_error"}


def write_stock_bundle(bundle: str | Path, target: Path, *, fppi: float | None = None) -> Path:
    """Writes the copy below `target`, the `model` folder of the monaibundle app; returns its folder.

    The folder has the bundle's name, with "_detection" where that word is not in it: the app tells by the
    name what a bundle does. It infers only; to train, serve the bundle with this package's own application.

    Args:
        bundle: a folder or name, see `find_bundle`; it must detect and have weights.
        fppi: shows what the bundle's operating point for that many false positives per image shows; None
            shows everything.

    Raises:
        BundleError: no such bundle or operating point, or it classifies; or the folder is there already.
        WeightsError: the bundle has no weights.
    """
    root = find_bundle(bundle)
    content = json.loads((root / "configs" / "inference.json").read_text(encoding="utf-8"))
    if "detector" not in content:
        raise BundleError(f"{root.name}: classifies images and marks no boxes; name a bundle that detects.")
    if fppi is not None:
        shown_at(root, fppi)
    folder = Path(target).absolute() / (root.name if "detection" in root.name else f"{root.name}_detection")
    with new_folder(folder) as part:
        parts = bundle_parts(root, ("network", "model"), {"device": "cpu"})
        network: nn.Module = parts["network"]
        for name in _COPIED:
            _copy(root / name, part / name)
        with atomic_path(part / "models" / "model.pt") as weights:
            torch.save(network.state_dict(), weights)
        write_text_atomic(
            part / "configs" / "inference.json", format_config(_stock_config(content, parts["model"], fppi))
        )
    return folder


class SampleOfPath:
    """Makes the sample that preprocessing expects of the bare image path a client's request brings."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The request's own entries with those of a sample of `load_samples`."""
        (sample,) = load_samples(str(data["image"]))
        return {**data, **sample}


class StockDetector:
    """An inferer in the place where the monaibundle app expects a detector.

    Args:
        inferer: what predicts, from `make_inferer`.
        detector: the one in it, whose network the app replaces.
    """

    def __init__(self, inferer: Inferer, detector: nn.Module) -> None:
        self._inferer = inferer
        self._detector = detector

    @property
    def network(self) -> nn.Module:
        """The network that predicts; the app sets its own, filled from model.pt."""
        return self._detector.network  # type: ignore[return-value]  # a module's attributes are untyped

    @network.setter
    def network(self, network: nn.Module) -> None:
        self._detector.network = network

    def __call__(self, images: Tensor, use_inferer: bool = True) -> list[dict[str, Any]]:
        """Predictions of images (B, 1, H, W), each in its own frame; see `Inferer`."""
        self._detector.eval()
        return [dict(self._inferer(image)) for image in images]


class StockResult:
    """Turns a prediction into what the monaibundle app writes.

    Args:
        bundle_root: of the copy, for its operating points. fppi: see `write_stock_bundle`.
        model: what the result says of the model.
        inferer: the one that predicted; says how small a mark may be.
    """

    def __init__(
        self, *, bundle_root: str, fppi: float | None, model: Mapping[str, object], inferer: Inferer
    ) -> None:
        self._shown = None if fppi is None else shown_at(Path(bundle_root), fppi)
        self._model = dict(model)
        self._min_area_mm2 = inferer.min_area_mm2

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """`result`: see `marks_json`; `box` (N, 6): centre and size in mm, LPS; `label` (N,)."""
        prediction = {name: data[name] for name in ("box", "label", "label_scores")}
        found = detections_in_original(data, prediction, min_area_mm2=self._min_area_mm2)
        shown = found if self._shown is None else self._shown(found)
        point = {} if self._shown is None else {"operating_point": self._shown.describe()}
        spacing_mm = slicer_spacing_mm(Path(data["image_path"])) or (1.0, 1.0)
        rois = [sum(roi_mm(box, spacing_mm), ()) for box in shown.boxes.tolist()]
        return {
            **data,
            "box": torch.tensor(rois, dtype=torch.float64).reshape(-1, 6),
            "label": torch.from_numpy(shown.labels),
            "result": marks_json(shown, {**self._model, **point}),
        }


def _stock_config(
    content: Mapping[str, Any], model: Mapping[str, object], fppi: float | None
) -> dict[str, Any]:
    """The bundle's inference configuration with the ids and frames of the monaibundle app."""
    kept = {name: value for name, value in content.items() if name not in _DROPPED}
    config: dict[str, Any] = _renamed(kept, "@detector", f"@{_BARE}")
    config[_BARE] = config.pop("detector")
    mine = f"{__name__}."
    return {
        **config,
        # The app fills the network from model.pt; nothing is to be read twice.
        "weights": "none",
        "fppi": fppi,
        "model": dict(model),
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": f"{mine}SampleOfPath"}, config["preprocessing"]],
        },
        "detector": {"_target_": f"{mine}StockDetector", "inferer": "@inferer", "detector": f"@{_BARE}"},
        "detector_ops": [],
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": f"{mine}StockResult",
                    "bundle_root": "@bundle_root",
                    "fppi": "@fppi",
                    "model": "@model",
                    "inferer": "@inferer",
                }
            ],
        },
    }


def _renamed(value: Any, old: str, new: str) -> Any:
    """A configuration with every reference to one id renamed."""
    if isinstance(value, Mapping):
        return {name: _renamed(each, old, new) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, old, new) for each in value]
    return new if value == old else value


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
