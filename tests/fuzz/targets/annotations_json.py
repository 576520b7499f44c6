"""Fuzz targets: boxes in JSON of other programs: COCO, 3D Slicer, MONAI Label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mammo_monai.readers.annotations.annotated import AnnotatedImage
from mammo_monai.readers.annotations.coco import read_coco_json
from mammo_monai.readers.annotations.formats import FORMATS
from mammo_monai.readers.annotations.monai_label import read_monai_label
from mammo_monai.readers.annotations.slicer import read_slicer
from mammo_monai.readers.audit import Audit
from mammo_monai.readers.coco.reader import read_coco
from mammo_monai.readers.reading import Reading
from tests.fuzz.harness import Target
from tests.fuzz.targets.annotation_image import HEIGHT, WIDTH, encoded, mask_pixels, reads_lesions
from tests.fuzz.targets.json_words import JSON_WORDS, with_new_value

_IMAGE = {
    "id": 1,
    "file_name": "image.png",
    "width": WIDTH,
    "height": HEIGHT,
    "patient_id": "p",
    "split": "train",
}
_ANNOTATION = {"id": 7, "image_id": 1, "category_id": 3, "bbox": [10, 20, 21, 25], "birads": "4"}
_POLYGON = {**_ANNOTATION, "id": 8, "segmentation": [[10, 20, 31, 20, 31, 45]], "pathology": "BENIGN"}
_ROI = {
    "type": "ROI",
    "coordinateSystem": "LPS",
    "roiType": "Box",
    "center": [20.0, 32.0, 0.0],
    "orientation": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    "size": [20.0, 24.0, 1.0],
    "name": "mass",
}


def _coco() -> list[bytes]:
    content = {
        "images": [_IMAGE, {**_IMAGE, "id": "b", "file_name": "other.png"}],
        "annotations": [_ANNOTATION, _POLYGON],
        "categories": [{"id": 3, "name": "mass"}],
    }
    return [json.dumps(content).encode(), json.dumps({**content, "annotations": []}).encode("utf-16")]


def _read_coco(path: Path) -> object:
    """As `manifest coco` does; a fault of one image is in the audit, and named when the reading is strict."""
    path.with_name("image.png").write_bytes(encoded(mask_pixels(), "PNG"))
    reading = Reading("salt", Audit(strict=True))
    found = read_coco(path, reading)
    reading.audit.finish()
    return found


def _read_in_final(files: Sequence[Path], base: Path, audit: Audit) -> list[AnnotatedImage]:
    """The file where MONAI Label keeps what people saved."""
    (path,) = files
    saved = base / "labels" / "final" / path.name
    saved.parent.mkdir(parents=True)
    saved.write_bytes(path.read_bytes())
    return read_monai_label([saved], base, audit)


TARGETS = (
    Target(
        "coco_annotations",
        ".json",
        reads_lesions(read_coco_json),
        _coco,
        dictionary=(*JSON_WORDS, b'"bbox"', b'"segmentation"', b'"id"', b'"subtlety": 3', b'"birads": "5"'),
        mutators=(with_new_value,),
    ),
    Target(
        "coco_data_set",
        ".json",
        _read_coco,
        _coco,
        dictionary=(*JSON_WORDS, b'"file_name"', b'"view"'),
        mutators=(with_new_value,),
    ),
    Target(
        "slicer_markups",
        ".mrk.json",
        reads_lesions(read_slicer),
        lambda: [
            json.dumps({"markups": [_ROI]}).encode(),
            json.dumps({"markups": [{**_ROI, "coordinateSystem": "RAS", "name": "R_1"}]}).encode(),
        ],
        dictionary=(*JSON_WORDS, b'"orientation"', b'"controlPoints": [{"position": [1, 2, 3]}]', b'"RAS"'),
        mutators=(with_new_value,),
    ),
    Target(
        "monai_label",
        ".json",
        reads_lesions(_read_in_final),
        lambda: [
            json.dumps({"box": [[10, 20, 31, 45]], "label": ["mass"]}).encode(),
            json.dumps({"box": [[10, 20, 31, 45], [1, 2, 3, 4]], "label": [0, 1]}).encode(),
            json.dumps({"markups": [_ROI]}).encode(),
        ],
        dictionary=(*JSON_WORDS, b'"box"', b'"label"'),
        mutators=(with_new_value,),
    ),
    Target(
        "annotation_format",
        ".json",
        lambda path: [name for name, each in FORMATS.items() if each.is_one(path)],
        _coco,
        dictionary=JSON_WORDS,
        mutators=(with_new_value,),
    ),
)
