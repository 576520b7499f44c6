"""Tells annotation files that are not read by the program that wrote them: the error says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.schema.json_text import json_value

READ = (
    "COCO JSON, CSV tables of boxes, Pascal VOC, YOLO, masks as NIfTI, PNG or DICOM SEG, Markups ROI of 3D "
    "Slicer, and the datastore of MONAI Label"
)
"""The formats that are read, for people."""
# Files of one kind are alike; a file of pictures' pixels in text may be large.
_LOOKED_AT, _MAX_BYTES, _SNIFFED_BYTES = 3, 1 << 26, 4096
_FIRST_TAG = re.compile(rb"<([A-Za-z_][\w.-]*)")
# The keys that a program's object has, and those of the objects in its list.
_OBJECTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "a file of LabelMe": frozenset({"shapes", "imagePath"}),
        "a project of the VGG Image Annotator (VIA)": frozenset({"_via_img_metadata"}),
        "a file of Supervisely": frozenset({"objects", "size"}),
        "a file of V7 Darwin": frozenset({"item", "annotations"}),
        "an export of MD.ai": frozenset({"labelGroups", "datasets"}),
        "GeoJSON, as QuPath writes it": frozenset({"type", "features"}),
        "a MONAI datalist, or a manifest": frozenset({"training"}),
        "markups of 3D Slicer under another name than NAME.mrk.json": frozenset({"markups"}),
    }
)
_LISTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "an export of Label Studio": frozenset({"annotations", "data"}),
        "a short export of Label Studio": frozenset({"image", "label"}),
        "CreateML JSON": frozenset({"image", "annotations"}),
        "COCO's list of a model's results": frozenset({"image_id", "bbox"}),
        "an export of Labelbox": frozenset({"Labeled Data"}),
    }
)
_TAGS: Mapping[bytes, str] = MappingProxyType({b"annotations": "CVAT's own XML"})
_TABLES: Mapping[bytes, str] = MappingProxyType(
    {
        b"region_shape_attributes": "a table of the VGG Image Annotator (VIA)",
        b"lead_time": "a table of Label Studio",
    }
)
_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        ".xlsx": "a spreadsheet",
        ".xls": "a spreadsheet",
        ".mha": "a MetaImage",
        ".mhd": "a MetaImage",
        ".geojson": "GeoJSON, as QuPath writes it",
        ".ndjson": "a file of JSON lines",
        ".jsonl": "a file of JSON lines",
        ".fcsv": "an old point list of 3D Slicer",
        ".acsv": "an old ROI of 3D Slicer",
        ".roi": "an ROI of ImageJ or OsiriX",
        ".mat": "a MATLAB file",
    }
)


def refuse_other_programs(files: Iterable[Path], *, by_suffix: bool = False) -> None:
    """Raises where the first files of a kind were written by a program whose files are not read.

    Args:
        by_suffix: refuse kinds of files too that only their names tell.

    Raises:
        ManifestError: says which program, and which formats are read.
    """
    looked_at: dict[str, int] = {}
    for path in files:
        suffix = path.suffix.lower()
        looked_at[suffix] = looked_at.get(suffix, 0) + 1
        if looked_at[suffix] > _LOOKED_AT:
            continue
        program = _program_of(path, suffix) or (_SUFFIXES.get(suffix, "") if by_suffix else "")
        if program:
            raise ManifestError(
                f"{path}: this is {program}, which is not read. Read are {READ}. Export it as one of these, "
                "or convert it, and name that with --annotations."
            )


def _program_of(path: Path, suffix: str) -> str:
    if suffix not in (".json", ".xml", ".csv"):
        return ""
    try:
        with path.open("rb") as stream:
            start = stream.read(_SNIFFED_BYTES)
            if suffix == ".xml":
                tag = _FIRST_TAG.search(start)
                return _TAGS.get(tag[1], "") if tag else ""
            if suffix == ".csv":
                header = start.partition(b"\n")[0]
                return next((program for word, program in _TABLES.items() if word in header), "")
            if b'"images"' in start or path.stat().st_size > _MAX_BYTES:
                return ""
            return _program_of_json(json_value(start + stream.read()))
    except (OSError, ValueError):
        return ""


def _program_of_json(content: Any) -> str:
    keys = _OBJECTS
    if isinstance(content, list) and content:
        keys, content = _LISTS, content[0]
    if not isinstance(content, dict) or "images" in content:
        return ""
    first = next(iter(content.values()), None)
    if isinstance(first, dict) and {"filename", "regions"} <= first.keys():
        return "a file of the VGG Image Annotator (VIA)"
    return next((program for program, its in keys.items() if its <= content.keys()), "")
