"""Which marks of a detections.json `mammo-monai dicom` writes: all, an operating point's, or the best."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mammo_monai.schema import DetectionsFile


def shown_detections(args: argparse.Namespace) -> DetectionsFile:
    """The detections that `--fppi` and `--min-score` leave, with their threshold in the model.

    Raises:
        ManifestError: no detections.json. BundleError, WeightsError: no such point of the bundle and weights
            that the file names. ValueError: a lowest score outside 0 to 1.
    """
    from mammo_monai.schema import DetectionsFile, read_detections

    content = read_detections(args.detections)
    if args.fppi is not None:
        from mammo_monai.bundle import find_bundle
        from mammo_monai.inference.operating_point import shown_at

        point = shown_at(find_bundle(str(content.model.get("bundle", ""))), args.fppi)
        point.check_model(content.model.get("weights_sha256"))
        model = {**content.model, "operating_point": point.describe()}
        content = DetectionsFile(tuple(map(point, content.detections)), model)
    if args.min_score is not None:
        from mammo_monai.dicom.results.write_results import at_least

        content = at_least(content, args.min_score)
    return content
