"""`bundle export`: a bundle's network as a file for an engine, kept only if it answers as torch does."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from mammo_monai.bundle.exporting.comparing import Compared, compared
from mammo_monai.bundle.exporting.quantising import write_openvino
from mammo_monai.bundle.exporting.swapping import Swappable, swappable
from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.parts import bundle_parts
from mammo_monai.bundle.published import json_object
from mammo_monai.bundle.run import path_value
from mammo_monai.data.phantoms import PHANTOMS_PREFIX, phantom_manifest
from mammo_monai.errors import BundleError
from mammo_monai.files import sha256_of
from mammo_monai.inference.runtimes.choice import check_packages
from mammo_monai.inference.runtimes.cores import Run, example_inputs
from mammo_monai.inference.runtimes.exported import ExportRecord, model_files, network_sha256, record_path
from mammo_monai.inference.runtimes.model_cache import versions
from mammo_monai.inference.runtimes.onnx_export import MAX_RELATIVE_DIFFERENCE, write_onnx
from mammo_monai.inference.runtimes.onnx_session import onnx_run
from mammo_monai.inference.runtimes.openvino_model import openvino_run
from mammo_monai.inference.sources import Samples
from mammo_monai.parts import own_part_folder
from mammo_monai.records import ImageRecord
from mammo_monai.schema import read_manifest
from mammo_monai.words import counted

logger = logging.getLogger(__name__)
FileEngine = Literal["onnx", "openvino"]
MIN_MATCHED = 0.99
_PHANTOM_PATIENTS = 4
_MOST_CALIBRATION_IMAGES = 128


class ExportRefusedError(BundleError):
    """The exported model answers otherwise than torch; nothing was written."""


@dataclass(frozen=True)
class ExportOptions:
    """How a bundle is exported.

    Attributes:
        is_int8: in 8-bit integers, engine openvino only; needs `calibration`.
        calibration: manifest of images that the ranges of the layers are measured on: training images, 128 of
            them at most, evenly spaced.
        check: manifest of images that both are compared on, not those of the training; None for phantoms.
        split: the list of `check`, calibration_split: that of `calibration`; None for all.
        output: folder; None for the bundle's `models/`.
        overrides: ids of inference.json and values, such as `weights`.
        is_trusted: as `run_bundle`.
    """

    is_int8: bool = False
    calibration: Path | None = None
    calibration_split: str | None = None
    check: Path | None = None
    split: str | None = None
    output: Path | None = None
    overrides: Mapping[str, object] = field(default_factory=dict)
    is_trusted: bool = False


DEFAULT_OPTIONS = ExportOptions()


@dataclass(frozen=True)
class Exported:
    """What was written: the file an engine opens, its record, and what the record says."""

    model: Path
    record_path: Path
    record: ExportRecord


def export_bundle(
    bundle: str | Path, engine: FileEngine, options: ExportOptions = DEFAULT_OPTIONS
) -> Exported:
    """Writes the network of a bundle for an engine, with a record of how it compares with torch.

    Raises:
        ExportRefusedError: it answers otherwise than torch, see `faults_of`; nothing is written.
        BundleError: as `bundle_parts`; int8 with another engine than openvino or without calibration images.
        WeightsError: no weights, or damaged ones.
        MammoError: the engine is not installed.
        OSError: the folder cannot be written.
    """
    _check_options(engine, options)
    check_packages(engine)
    root = find_bundle(bundle)
    check = options.check or _phantoms(root)
    parts, model = _parts(root, check, options.split, options)
    folder = options.output or root / "models"
    with own_part_folder(folder / "export") as part:
        names = model_files(engine, int8=options.is_int8)
        run = _written(root, model, engine, part / names[0], options)
        found = compared(model, run, parts["dataset"], example_inputs(model.core))
        record = ExportRecord(
            engine,
            "int8" if options.is_int8 else "fp32",
            network_sha256(model.network),
            {name: sha256_of(part / name) for name in names},
            weights_sha256=dict(parts.get("model", {})).get("weights_sha256"),
            made_with=versions("mammo-monai", "torch", "onnx", "onnxruntime", "openvino", "nncf"),
            checks=_checks(found, check, options),
        )
        if faults := faults_of(record):
            raise ExportRefusedError(
                f"{root.name}: the exported model is not kept: {' '.join(faults)} Take engine torch."
            )
        return _put_in_place(part, folder, record)


def faults_of(record: ExportRecord) -> list[str]:
    """Why an exported model may not stand in for torch; one sentence each.

    fp32: maps that differ by more than 1e-3, fewer than 99 % of all boxes matched, or an image's score off by
    more than 0.02. int8: at some FPPI it finds fewer lesions than the lower end of torch's interval.
    """
    boxes: Any = record.checks["boxes"]
    maps: Any = record.checks["maps"]
    faults = []
    if record.precision != "int8":
        shares = [each["largest_difference"] / max(each["largest_number"], 1e-6) for each in maps]
        if not all(share <= MAX_RELATIVE_DIFFERENCE for share in shares):
            faults.append(f"maps differ by {max(shares):.2g} of their largest number.")
        matched, score = boxes["matched"], boxes["largest_image_score_difference"]
        if matched is not None and not matched >= MIN_MATCHED:
            faults.append(
                f"{matched:.1%} of the boxes are matched at IoU {boxes['min_iou']} with scores within "
                f"{boxes['max_score_difference']}, expected {MIN_MATCHED:.0%}."
            )
        if score is not None and not score <= boxes["max_score_difference"]:
            faults.append(f"the score of an image differs by {score:.3f}.")
        return faults
    froc: Any = record.checks["froc"]
    for one, other in zip(froc["torch"], froc["engine"], strict=True):
        if one["low"] is not None and not other["sensitivity"] >= one["low"]:
            faults.append(
                f"at {one['fppi']:g} false positives per image it finds {other['sensitivity']:.3f} of the "
                f"lesions, torch {one['sensitivity']:.3f} ({one['low']:.3f} to {one['high']:.3f})."
            )
    return faults


def _check_options(engine: FileEngine, options: ExportOptions) -> None:
    if options.is_int8 and engine != "openvino":
        raise BundleError(f"8-bit integers are made for engine openvino, not {engine}. Give openvino.")
    if options.is_int8 and options.calibration is None:
        raise BundleError(
            "8-bit integers need images to measure the range of every layer on: give --calibration MANIFEST "
            "of about a hundred training images."
        )


def _phantoms(root: Path) -> Path:
    """The manifest of a few phantoms, in the layout that the bundle runs on by default."""
    named = str(json_object(root / "configs" / "inference.json").get("dataset_dir", ""))
    if not named.startswith(PHANTOMS_PREFIX):
        raise BundleError(f"{root.name}: names no phantoms to compare on. Give --check MANIFEST.")
    layout = named.removeprefix(PHANTOMS_PREFIX).split(":")[0]
    return phantom_manifest(f"{layout}:{_PHANTOM_PATIENTS}")


def _parts(
    root: Path, manifest: Path, split: str | None, options: ExportOptions
) -> tuple[dict[str, Any], Swappable]:
    overrides = {
        **options.overrides,
        "input": path_value(manifest),
        "split": split,
        "device": "cpu",
        "engine": "torch",
        "precision": "fp32",
    }
    parts = bundle_parts(root, ("inferer", "dataset", "model"), overrides, is_trusted=options.is_trusted)
    if missing := [name for name in ("inferer", "dataset") if name not in parts]:
        raise BundleError(f"{root.name}, inference.json: needs the ids {', '.join(missing)} to be exported.")
    return parts, swappable(parts["inferer"])


def _calibration(root: Path, onnx: Path, options: ExportOptions) -> list[Tensor] | None:
    """What the network is given of the calibration images; `onnx`, the network itself, answers."""
    if not options.is_int8 or options.calibration is None:
        return None
    run = openvino_run(onnx, "fp32")
    parts, model = _parts(root, options.calibration, options.calibration_split, options)
    samples: Samples = parts["dataset"]
    step = max(1, -(-len(samples) // _MOST_CALIBRATION_IMAGES))
    chosen = range(0, len(samples), step)
    logger.info("measuring ranges on %d of %s", len(chosen), counted(len(samples), "image"))
    return [given for index in chosen for given in model.inputs_of(samples[index]["image"], run)[1]]


def _written(root: Path, model: Swappable, engine: FileEngine, path: Path, options: ExportOptions) -> Run:
    """Writes the model to `path`, and what computes it from there."""
    if engine == "onnx":
        write_onnx(model.core, path)
        return onnx_run(path)
    onnx = path.with_name("core.onnx")
    write_onnx(model.core, onnx)
    write_openvino(onnx, path, _calibration(root, onnx, options))
    return openvino_run(path, "int8" if options.is_int8 else "fp32")


def _checks(found: Compared, check: Path, options: ExportOptions) -> dict[str, object]:
    records = read_manifest(check).images(options.split)
    checks: dict[str, object] = {
        "images": "phantoms" if options.check is None else f"manifest of SHA-256 {sha256_of(check)}",
        "split": options.split,
        "n_images": len(found.by_torch),
        "maps": list(found.maps),
        "boxes": found.boxes(),
    }
    if options.is_int8:
        checks["froc"] = found.froc(_in_order(records, found))
    return checks


def _in_order(records: Sequence[ImageRecord], found: Compared) -> list[ImageRecord]:
    by_id = {each.record_id: each for each in records}
    return [by_id[each.record_id] for each in found.by_torch]


def _put_in_place(part: Path, folder: Path, record: ExportRecord) -> Exported:
    """Moves the files; the record goes first and comes last, so that no record ever stands by other files."""
    model = folder / next(iter(record.files))
    record_path(model).unlink(missing_ok=True)
    for name in record.files:
        (part / name).replace(folder / name)
    record.save(record_path(model))
    return Exported(model, record_path(model), record)
