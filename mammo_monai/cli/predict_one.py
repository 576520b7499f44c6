"""`mammo-monai predict` with one bundle: runs its inference, with MONAI's overrides passed through."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mammo_monai.inference import Written


def predict_one(args: argparse.Namespace, images: list[str]) -> Written | None:
    """Runs the bundle's inference on images, writes the output; returns what its `Predictor` says of it.

    Raises:
        ValueError: options of an ensemble. MammoError, OSError: as the bundle's run raises them.
    """
    from mammo_monai.bundle import find_bundle, parse_overrides, path_value, run_bundle
    from mammo_monai.cli.progress_bar import image_bar
    from mammo_monai.inference import statistics_of_bundle
    from mammo_monai.inference.operating_point import shown_at

    (bundle,) = args.bundle
    if args.maps:
        _check_maps(bundle)
    if args.fuse or args.fuse_iou is not None or args.fuse_weights or args.fuse_label or args.uncalibrated:
        raise ValueError("--fuse and its options need several models: give --bundle once for each.")
    point = None if args.fppi is None else shown_at(find_bundle(bundle), args.fppi)
    statistics = statistics_of_bundle(find_bundle(bundle))
    named = {
        "input": images[0] if len(images) == 1 else images,
        "output": path_value(args.output),
        "weights": path_value(args.weights) if args.weights else None,
        **{name: getattr(args, name) for name in ("mode", "engine", "split", "device")},
        "on_error": args.on_error or _on_error(find_bundle(bundle), images),
        "evaluator#on_progress": image_bar(),
        "evaluator#operating_point": point,
        "evaluator#workers": args.workers,
        "evaluator#accept": args.accept or None,
        "evaluator#statistics": path_value(statistics) if statistics else None,
    }
    overrides = {key: value for key, value in named.items() if value is not None}
    workflow = run_bundle(
        bundle, "inference", "run", overrides | parse_overrides(args.overrides), is_trusted=args.trust
    )
    evaluator = workflow.parser.get_parsed_content("evaluator") if "evaluator" in workflow.parser else None
    written = getattr(evaluator, "written", None)
    if args.maps:
        inferer, dataset = (workflow.parser.get_parsed_content(name) for name in ("inferer", "dataset"))
        _save_maps(inferer, dataset, args.maps, {} if written is None else dict(written.model))
    return written


def _save_maps(inferer: Any, dataset: Any, folder: Path, model: dict[str, Any]) -> None:
    """Draws the map of every image that was predicted; those that failed are told of already."""
    from mammo_monai.inference.probability_map_pictures import save_probability_maps

    failed = {each["record_id"] for each in model.get("failed") or ()}
    known = (n for n, each in enumerate(dataset.data) if each["record_id"] not in failed)
    save_probability_maps(inferer, (dataset[n] for n in known), folder, model=model)


def _on_error(root: Path, images: list[str]) -> str | None:
    """One bad file stops no batch; a single image is none. None leaves it to the bundle."""
    from mammo_monai.bundle.published import json_object

    path = root / "configs" / "inference.json"
    is_single = len(images) == 1 and Path(images[0]).is_file() and not images[0].endswith(".json")
    return "skip" if not is_single and path.is_file() and "on_error" in json_object(path) else None


def _check_maps(bundle: str) -> None:
    """Refuses, before anything is predicted, a bundle whose inferer makes no map."""
    from mammo_monai.bundle import find_bundle
    from mammo_monai.bundle.published import json_object

    inferer = json_object(find_bundle(bundle) / "configs" / "inference.json").get("inferer", {})
    if not str(inferer.get("_target_", "")).endswith("probability_map_inferer"):
        raise ValueError(
            f"--maps draws the mass probability map of patch classifiers; {bundle} makes none. "
            "Use --overlays DIR, which draws the marks of any bundle."
        )
