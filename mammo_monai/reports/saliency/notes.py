"""The note beside a saliency map: what was asked, of which model, and what the colours stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mammo_monai.errors import ManifestError
from mammo_monai.files import write_json_atomic
from mammo_monai.records import Box
from mammo_monai.schema.fields import (
    class_index,
    finite_number,
    load_json,
    mapping,
    number_from_0_to_1,
    pixel_count,
    read_field,
    string,
    text_,
)

SALIENCY_SCHEMA = "mammo-monai/saliency/1"
FILES = {
    "overlay": "{stem}_overlay.png",
    "capture": "{stem}_rgb.png",
    "map": "{stem}_map.png",
    "film_crop": "crops/{stem}_film.jpg",
    "map_crop": "crops/{stem}_map.jpg",
}


@dataclass(frozen=True)
class SaliencyNote:
    """One explained finding.

    Attributes:
        number: of the finding on its image, from 1, highest score first.
        score: the model's, in [0, 1]. box: original pixels; None for the score of a whole image.
        method, layer: how and where the map was made; layer "" where the method has none.
        raw_maximum: what 65535 stands for in the 16-bit map. unit: of it.
        width, height: of the original image and of map and capture.
        model: bundle, weights and version. fingerprint: of everything the files rest on.
    """

    record_id: str
    number: int
    score: float
    box: Box | None
    label: int
    method: str
    layer: str
    raw_maximum: float
    unit: str
    width: int
    height: int
    fingerprint: str
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"{self.record_id}_{self.number}"


def _box(value: Any) -> Box | None:
    if value is None:
        return None
    x_min, y_min, x_max, y_max = (finite_number(each) for each in value)
    return (x_min, y_min, x_max, y_max)


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("record_id", "method", "unit", "fingerprint"), text_),
    **dict.fromkeys(("width", "height", "number"), pixel_count),
    "score": number_from_0_to_1,
    "box": _box,
    "label": class_index,
    "layer": string,
    "raw_maximum": finite_number,
}


def file_paths(folder: Path, stem: str) -> dict[str, Path]:
    """The pictures of a finding, by what they are."""
    return {name: folder / pattern.format(stem=stem) for name, pattern in FILES.items()}


def write_note(folder: Path, note: SaliencyNote) -> Path:
    """Writes `<stem>.json`; it goes last, after the pictures, and says that they are whole."""
    path = folder / f"{note.stem}.json"
    write_json_atomic(path, {"schema": SALIENCY_SCHEMA, **asdict(note)})
    return path


def read_note(path: Path) -> SaliencyNote:
    """The note at `path`.

    Raises:
        ManifestError: not JSON, another schema, missing or wrong fields, or the note of another finding.
    """
    content = load_json(path, SALIENCY_SCHEMA)
    names = [name for name in SaliencyNote.__dataclass_fields__ if name != "model"]
    missing = [name for name in names if name not in content]
    if missing:
        raise ManifestError(
            f"{path}: {', '.join(missing)} is missing. Make it again with mammo-monai saliency."
        )
    values: dict[str, Any] = {name: read_field(str(path), content, name, _FIELDS[name]) for name in names}
    note = SaliencyNote(**values, model=read_field(str(path), content, "model", mapping, {}))
    if note.stem != path.stem:
        raise ManifestError(
            f"{path}: this note is of {note.stem!r:.80}, whose files would be others. Give it its own name "
            "again, or make it again with mammo-monai saliency."
        )
    return note


def read_notes(folder: Path) -> list[SaliencyNote]:
    """All notes of a folder, highest score first; files of another kind are passed over.

    Raises:
        ManifestError: no such folder, or no note in it.
    """
    paths = sorted(Path(folder).glob("*_[0-9]*.json"))
    if not paths:
        raise ManifestError(
            f"{folder}: no saliency map there. Make some with mammo-monai saliency … -o {folder}."
        )
    notes = [read_note(path) for path in paths]
    return sorted(notes, key=lambda each: (-each.score, each.record_id, each.number))
