"""Seconds, images per second and memory of `mammo-monai manifest` over many small mammograms.

    python scripts/bench/bench_manifest.py [--images 10000] [--few 1000] [--workers 2] [--layouts vindr]

Writes that many whole DICOM files with headers as long as those of clinical systems (about 120 elements and
private ones, 8 to 10 kB) and small pictures, in the data sets' own layouts. Then, each in a process of its
own and with a warm disk cache:

    pydicom     a plain loop of `pydicom.dcmread(path, stop_before_pixels=True)`, nothing else
    manifest    the command, over --few of the images and over all of them

Memory must stay flat: what the command takes for all images is laid beside what it takes for a few.
Goal: 10 000 images in under 60 s on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import plistlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import UID, RLELossless
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation as ForPresentation

from mammo_monai.phantoms.dicom_writer import image_dataset
from mammo_monai.phantoms.rle import rle_frame

ROWS, COLUMNS = 333, 256
GOAL_S, GOAL_IMAGES = 60.0, 10_000
VIEWS = (("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO"))
# Stands in the templates for the last digits of each UID; as long as what replaces it.
STAND_IN = b"99999999"
READ_LOOP = """
import sys, pydicom
for path in sys.stdin.read().splitlines():
    pydicom.dcmread(path, stop_before_pixels=True)
"""


@dataclass(frozen=True)
class Measured:
    """A command's wall time, its processor time and its largest resident size."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def breast(laterality: str) -> bytes:
    """A compressed picture: a half disc at the chest wall."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    away = columns if laterality == "L" else COLUMNS - 1 - columns
    inside = ((rows - ROWS / 2) / (ROWS / 2)) ** 2 + (away / (0.6 * COLUMNS)) ** 2 < 1
    return encapsulate([rle_frame(np.where(inside, 1800 + rows, 0).astype(np.uint16))])


def code(value: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return Sequence([item])


def template(laterality: str, view: str) -> bytes:
    """A whole file, header as full as a detector's, with stand-ins in its UIDs."""
    uid = f"1.2.826.0.1.3680043.8.498.1.{STAND_IN.decode()}"
    dataset = image_dataset(ForPresentation, *(UID(f"{uid}.{number}") for number in (1, 2, 3)))
    dataset.Modality, dataset.PresentationIntentType = "MG", "FOR PRESENTATION"
    dataset.ImageLaterality, dataset.ViewPosition = laterality, view
    dataset.ViewCodeSequence = code("399162004" if view == "CC" else "399368009", view)
    dataset.AnatomicRegionSequence = code("76752008", "Breast")
    dataset.ImageType = ["DERIVED", "PRIMARY", "", "", "", "", "", "", "50000"]
    dataset.PatientID = dataset.PatientName = "phantom"
    dataset.PatientOrientation = ["A", "FR"] if laterality == "L" else ["P", "FL"]
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
    dataset.Rows, dataset.Columns, dataset.PixelRepresentation = ROWS, COLUMNS, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelSpacing = dataset.ImagerPixelSpacing = [0.7, 0.7]
    dataset.WindowCenter, dataset.WindowWidth = [2000, 2100, 1900], [800, 900, 1000]
    dataset.WindowCenterWidthExplanation = ["NORMAL", "HARDER", "SOFTER"]
    for keyword in (
        "Manufacturer",
        "InstitutionName",
        "StationName",
        "ManufacturerModelName",
        "ProtocolName",
    ):
        setattr(dataset, keyword, f"phantom {keyword}")
    for keyword in ("KVP", "DistanceSourceToDetector", "DistanceSourceToPatient", "BodyPartThickness"):
        setattr(dataset, keyword, "60")
    for keyword in ("CompressionForce", "PositionerPrimaryAngle", "OrganDose", "EntranceDoseInmGy"):
        setattr(dataset, keyword, "4.2")
    for number in range(40):  # calibration tables and processing steps, as every vendor has its own
        group = 0x0019 + 0x10 * (number % 4)
        dataset.private_block(group, "PHANTOM", create=True).add_new(number, "LO", f"parameter {number:04d}")
    dataset.private_block(0x0045, "PHANTOM TABLES", create=True).add_new(1, "OB", bytes(4096))
    dataset.PixelData = breast(laterality)
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = RLELossless
    raw = BytesIO()
    dcmwrite(raw, dataset, enforce_file_format=True)
    return raw.getvalue()


def files_of(count: int) -> list[tuple[int, str, str, bytes]]:
    """Number, side, view and bytes of each image; four images a patient."""
    templates = {view: template(*view) for view in VIEWS}
    return [
        (n, *VIEWS[n % 4], templates[VIEWS[n % 4]].replace(STAND_IN, b"%d" % (10_000_000 + n)))
        for n in range(count)
    ]


def write_inbreast(root: Path, count: int) -> list[str]:
    """Half of the patients have a mass in every view."""
    (root / "AllDICOMs").mkdir(parents=True)
    (root / "AllXML").mkdir()
    points = [f"({60 + 20 * np.cos(a):.4f}, {150 + 20 * np.sin(a):.4f})" for a in np.linspace(0, 6, 40)]
    contours = {"Images": [{"ROIs": [{"Name": "Mass", "NumberOfPoints": 40, "Point_px": points}]}]}
    lines = ["Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"]
    for n, side, view, raw in files_of(count):
        number, has_mass = 20_000_000 + n, n // 4 % 2 == 0
        name = f"{number}_{n // 4:016x}_MG_{side}_{view.replace('MLO', 'ML')}_ANON.dcm"
        (root / "AllDICOMs" / name).write_bytes(raw)
        lines.append(f"removed;removed;{side};{view};201001;{number};2;{5 if has_mass else 1}")
        if has_mass:
            mirrored = [f"({COLUMNS - float(p[1:].split(',')[0]):.4f},{p.split(',')[1]}" for p in points]
            contours["Images"][0]["ROIs"][0]["Point_px"] = points if side == "L" else mirrored
            (root / "AllXML" / f"{number}.xml").write_bytes(plistlib.dumps(contours))
    (root / "INbreast.csv").write_text("\r\n".join([*lines, ""]), newline="")
    return ["inbreast", str(root)]


def write_vindr(root: Path, count: int) -> list[str]:
    """A row for each image, a box in every other study."""
    header = "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,breast_density,"
    lines = [header + "finding_categories,finding_birads,xmin,ymin,xmax,ymax,split"]
    for n, side, view, raw in files_of(count):
        study, image = f"{n // 4:032x}", f"{n:032x}"
        folder = root / "images" / study
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{image}.dicom").write_bytes(raw)
        left = 40 if side == "L" else COLUMNS - 80
        box = f"\"['Mass']\",BI-RADS 4,{left},130,{left + 40},170" if n // 4 % 2 else "['No Finding'],,,,,"
        about = f"{side},{view},{ROWS},{COLUMNS},BI-RADS {4 if n // 4 % 2 else 1},DENSITY C"
        split = "test" if n // 4 % 5 == 0 else "training"
        lines.append(f"{study},{n},{image},{about},{box},{split}")
    (root / "finding_annotations.csv").write_text("\n".join([*lines, ""]))
    return ["vindr", str(root)]


def write_coco(root: Path, count: int) -> list[str]:
    """A tree of an own site: a folder a patient, boxes in one COCO JSON."""
    content: dict[str, list[dict[str, object]]] = {"images": [], "annotations": []}
    content["categories"] = [{"id": 0, "name": "mass"}]
    for n, side, view, raw in files_of(count):
        name = f"{n // 4:06d}/{n // 4:06d}_{side}_{view}.dcm"
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "images" / name).write_bytes(raw)
        about = {"patient_id": f"{n // 4:06d}", "laterality": side, "view_position": view}
        content["images"].append({"id": n, "file_name": name, "width": COLUMNS, "height": ROWS, **about})
        left = 40 if side == "L" else COLUMNS - 80
        if n // 4 % 2:
            content["annotations"].append(
                {"id": n, "image_id": n, "category_id": 0, "bbox": [left, 130, 40, 40]}
            )
    (root / "boxes.json").write_text(json.dumps(content))
    return ["coco", str(root / "boxes.json"), "--images", str(root / "images")]


LAYOUTS: dict[str, Callable[[Path, int], list[str]]] = {
    "inbreast": write_inbreast,
    "vindr": write_vindr,
    "coco": write_coco,
}


def measured(words: list[str], given: str = "") -> Measured:
    """Runs a command to its end; exit code 1 (warnings) counts as done."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as stdin:
        stdin.write(given)
        stdin.seek(0)
        process = subprocess.Popen(words, stdin=stdin, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)  # subprocess itself tells no child's memory
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            said.seek(0)
            raise SystemExit(f"{' '.join(words)}\nexit code {process.returncode}\n{said.read()[-2000:]}")
    wall = time.perf_counter() - start
    # Linux counts ru_maxrss in KiB, macOS in bytes.
    unit = 1024 if sys.platform == "darwin" else 1
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024 / unit)


def line(layout: str, what: str, images: int, found: Measured) -> str:
    rate = images / found.wall_s
    return (
        f"{layout:<10}{what:<10}{images:>8}{found.wall_s:>9.1f}{rate:>11.0f}{found.cpu_s:>8.1f}"
        f"{found.peak_mib:>10.0f}"
    )


def bench(layout: str, folder: Path, options: argparse.Namespace) -> bool:
    """Prints the rows of one layout; whether it took less than the goal."""
    whole = Measured(0, 0, 0)
    for count in (options.few, options.images):
        root = folder / f"{layout}-{count}"
        words = LAYOUTS[layout](root, count)
        if count == options.images:
            paths = sorted(path for path in root.rglob("*") if path.suffix in (".dcm", ".dicom"))
            given = "\n".join(map(str, paths))
            print(line(layout, "pydicom", count, measured([sys.executable, "-c", READ_LOOP], given)))
        command = [sys.executable, "-m", "mammo_monai.cli.main", "manifest", *words, *options.extra]
        command += ["-o", str(folder / f"{root.name}.json")]
        whole = measured(command)
        print(line(layout, "manifest", count, whole), flush=True)
    return bool(whole.wall_s < GOAL_S)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=GOAL_IMAGES)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=[*LAYOUTS])
    options = parser.parse_args()
    options.extra = ["--workers", str(options.workers)]
    print(f"{'layout':<10}{'what':<10}{'images':>8}{'wall s':>9}{'images/s':>11}{'cpu s':>8}{'peak MiB':>10}")
    is_met = True
    with tempfile.TemporaryDirectory() as folder:
        for layout in options.layouts:
            is_met &= bench(layout, Path(folder), options)
    if options.images != GOAL_IMAGES:
        return 0  # the start of the command weighs otherwise: no figure for the goal
    print(f"{GOAL_IMAGES} images in under {GOAL_S:.0f} s: {'yes' if is_met else 'NO'}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
