"""A hospital's folder full of markers, a manifest's worth of it, and a small bundle with weights."""

from __future__ import annotations

import csv
import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

from mammo_monai.bundle import find_bundle
from mammo_monai.bundle.sync import format_config
from mammo_monai.networks import save_weights
from tests.bundle.light import LINEAGE, RECIPE, edit, small_network
from tests.privacy.planted import FILE, FOLDER, plant_file

N_FILMS = 4
SIZE_PX = 192


@dataclass(frozen=True)
class Site:
    """Where things lie. Attributes: names: by marker, the element or cell it was planted in."""

    folder: Path
    names: dict[str, str]

    @property
    def films(self) -> list[Path]:
        """The DICOM files; a marker of the patient's name is their folder's."""
        return sorted((self.folder / FOLDER).glob("*.dcm"))


def write_site(folder: Path) -> Site:
    """Four films of four patients and a table of boxes with a marker in every cell that holds text."""
    names = {"QZ82000ZQ": "patient_name of the table", "QZ82001ZQ": "comment of the table"}
    boxes = ["image", "x_min", "y_min", "x_max", "y_max"]
    rows = [[*boxes, "patient_id", "patient_name", "study_date", "comment"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what is planted
        for n in range(N_FILMS):
            path = folder / FOLDER / f"{FILE}_{n}.dcm"
            names |= plant_file(path, number=n, patient=f"QZ8000{n}ZQ").names
            names |= {f"QZ8000{n}ZQ": "PatientID", f"QZ8100{n}ZQ": "patient_id of the table"}
            cells = [path.relative_to(folder).as_posix(), 100, 120, 140, 160, f"QZ8100{n}ZQ"]
            rows.append([*map(str, cells), "QZ82000ZQ", "1947-11-13", "QZ82001ZQ"])
    with (folder / "boxes.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return Site(folder, names)


def write_bundle(folder: Path) -> Path:
    """A copy of the light bundle: few channels, small images, weights that know nothing."""
    ignored = shutil.ignore_patterns("models", "eval", "training")
    bundle = Path(shutil.copytree(find_bundle("cbis_mass_detection"), folder, ignore=ignored))
    for name in ("train.json", "inference.json"):
        path = bundle / "configs" / name
        content = json.loads(path.read_text())
        content["network_def"]["fpn_channels"] = 16
        content["size_px"] = SIZE_PX
        path.write_text(format_config(content))
    edit(bundle, lambda metadata: [metadata.pop(name, None) for name in ("weights_sha256", "weights_bytes")])
    recipe = json.dumps({**RECIPE, "size_px": SIZE_PX})
    save_weights(small_network(), bundle / "models" / "model.safetensors", {**LINEAGE, "recipe": recipe})
    return bundle
