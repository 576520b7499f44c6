"""What the tables of CBIS-DDSM say of masses, written into a manifest made of an export without it.

    python scripts/join_cbis_tables.py cbis.json --tables CSV -o cbis_tables.json

Public exports of 800 × 800 px carry boxes alone. The official tables have BI-RADS, density, pathology and
subtlety of every mass, by patient, side and view, but no box. So a value goes to the masses of an image where
all rows of that image agree on it; where they differ, its masses stay without. The density is the image's, so
is the highest BI-RADS. The data set as downloaded needs none of it: `mammo-monai manifest cbis-ddsm`.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mammo_monai.errors import MammoError, ManifestError
from mammo_monai.readers.cbis_ddsm.case_tables import CASE_TABLES, MASS, CaseRow, TableKey, read_case_table
from mammo_monai.records import ImageRecord, Laterality, Split, ViewPosition
from mammo_monai.schema import Manifest, read_manifest, write_manifest

View = tuple[str, Laterality, ViewPosition]
_KEYS: tuple[TableKey, ...] = ((MASS, Split.TRAINING), (MASS, Split.TEST))


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the manifest, prints how many values were found, returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument(
        "--tables", type=Path, required=True, metavar="DIR", help="with the two mass_case_description_*.csv"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    args = parser.parse_args(arguments)
    try:
        manifest = read_manifest(args.manifest)
        rows = _rows_by_view([args.tables / CASE_TABLES[key] for key in _KEYS])
        joined = _joined(manifest, rows)
    except MammoError as error:
        sys.exit(str(error))
    write_manifest(args.output, joined)
    images = joined.images()
    lesions = [lesion for image in images for lesion in image.lesions]
    known = sum(lesion.pathology is not None for lesion in lesions)
    print(f"{args.output}: {len(images)} images, {len(lesions)} masses, pathology of {known}")
    return 0


def _rows_by_view(tables: Sequence[Path]) -> dict[View, list[CaseRow]]:
    found: dict[View, list[CaseRow]] = defaultdict(list)
    for table in tables:
        for row in read_case_table(table):
            found[(row.patient_id.removeprefix("P_"), row.laterality, row.view_position)].append(row)
    return found


def _joined(manifest: Manifest, rows: Mapping[View, Sequence[CaseRow]]) -> Manifest:
    lists = {
        split: [_described(image, rows) for image in getattr(manifest, split)]
        for split in ("training", "validation", "test")
    }
    return replace(manifest, **lists)


def _described(image: ImageRecord, rows: Mapping[View, Sequence[CaseRow]]) -> ImageRecord:
    found = rows.get((image.patient_id, image.laterality, image.view_position), ())
    if not found:
        side, view = (getattr(each, "value", "unknown") for each in (image.laterality, image.view_position))
        raise ManifestError(
            f"record {image.record_id}: expected an image of CBIS-DDSM, and no row of the tables is of "
            f"patient {image.patient_id}, {side}, {view}. Give the manifest of an export whose patients are "
            "numbered as in the tables (`mammo-monai manifest coco --public-patients --name-pattern …`)."
        )
    agreed = {}
    for name in ("pathology", "birads", "subtlety"):
        values = {getattr(row, name) for row in found}
        agreed[name] = values.pop() if len(values) == 1 else None
    lesions = tuple(replace(lesion, **agreed) for lesion in image.lesions)
    highest = max((row.birads for row in found if row.birads is not None), default=None)
    density = next((row.breast_density for row in found if row.breast_density is not None), None)
    return replace(image, lesions=lesions, birads=highest, breast_density=density)


if __name__ == "__main__":
    sys.exit(main())
