"""Published figures for context: other splits, other rules, other patients; never a gate, never a ranking.

The one place where they stand, as records: `PAPER_TABLES` holds the tables that our runs may stand beside.
"""

from __future__ import annotations

from collections.abc import Mapping

from mammo_monai.reports.literature.records import (
    PublishedDetector,
    PublishedNormals,
    PublishedPoint,
    PublishedRow,
    PublishedTable,
    digits_text,
)
from mammo_monai.reports.tables.table import Table

CAVEAT = (
    "Not comparable unless split and rule are the same. These figures come from other splits of the data, "
    "other matching rules and other counts of lesions. Between .98 and .99 on INbreast lies one lesion of "
    "112 (Wilson 95 %: .937–.995 and .951–.998)."
)
OTHERS_RULES = (
    "The published figures come from other splits of the data, other matching rules and other counts of "
    "lesions: read them beside ours, not as a ranking."
)
ONE_LESION = (
    "Between .98 and .99 on INbreast lies one lesion of 112 (Wilson 95 %: .937–.995 and .951–.998): no "
    "method is shown to be better than another by it."
)
MALIGNANT_ONLY = "Ribli et al. print .90 at .3 FPPI for malignant lesions only."
_SWEEP_NOTE = (
    "P0 prints one sensitivity per setting, without a spread: how far apart chance sets them is unknown."
)


def _points(*points: tuple[float, ...]) -> tuple[PublishedPoint, ...]:
    return tuple(PublishedPoint(*point) for point in points)


# P0, Tables I, II and IV (seed 000), where each point is a row.
ONE_STAGE = _points(
    (0.25, 0.89, 0.07), (0.44, 0.90, 0.06), (0.58, 0.91, 0.05), (0.79, 0.93, 0.03), (1.67, 0.94, 0.02)
)
TWO_STAGE = _points(
    (0.25, 0.90, 0.06), (0.44, 0.93, 0.05), (0.58, 0.94, 0.04), (0.79, 0.96, 0.04), (1.67, 0.99, 0.02)
)
STAGE_ONE_ALONE = _points(
    (0.25, 0.90, 0.06), (0.44, 0.91, 0.05), (0.58, 0.92, 0.04), (0.79, 0.91, 0.04), (1.67, 0.94, 0.03)
)
# P3, Table 4 (seed 003); .92 ± .04 at .5 stands in its text, section 4.
PATCH_CNN = _points(
    (0.25, 0.87, 0.07), (0.44, 0.90, 0.06), (0.58, 0.93, 0.04), (0.79, 0.95, 0.04), (1.67, 0.98, 0.02)
)
# P3, section 3.2 and Fig. 3 (seed 003).
PATCH_CNN_FROM_IMAGENET = _points((2.1, 0.91, 0.07))
# P0, Table III, and P3, Table 4, print the same for these (P3 without Dhungel's .90 ± .02 at 1.3).
RIBLI = _points((0.3, 0.90))
KOZEGAR = _points((3.67, 0.87))
DHUNGEL = _points((5.0, 0.95, 0.02), (1.3, 0.90, 0.02))
AKSELROD_BALLIN = _points((0.56, 0.93))
# Others (no seed): a re-implementation, not reviewed; one view, scanned film.
REIMPLEMENTATION = _points((0.5, 0.784), (1.0, 0.855))

_CASCADE = "RetinaNet → CBIS-DDSM → INbreast"
_MODEL = ("Model", "Pretrained dataset", "Fine tune")
_APART = ("FPPI", "TPR (μ ± σ)")
_AT = ("TPR (μ ± σ) @ FPPI",)
_SWEEP_AT = ("TPR @ FPPI",)


def _sweep(
    number: str, title: str, setting: str, values: Mapping[str, float], best: str, notes: tuple[str, ...] = ()
) -> PublishedTable:
    """One of P0's Tables VI–VIII: a setting, the sensitivity at 1.67 FPPI, and which setting was chosen."""
    rows = tuple(
        PublishedRow(
            (f"{value} (best)" if value == best else value, "CBIS-DDSM"),
            _points((1.67, sensitivity)),
            row=value,
        )
        for value, sensitivity in values.items()
    )
    return PublishedTable(
        f"P0-{number}",
        f"P0, Table {number}",
        title,
        (setting, "Pretrained dataset"),
        _SWEEP_AT,
        rows,
        joins="rows",
        notes=(OTHERS_RULES, _SWEEP_NOTE, *notes),
    )


def _setup(number: int, training: str, test: str, *points: tuple[float, ...]) -> PublishedRow:
    return PublishedRow((f"S-{number}", training, test), _points(*points), row=f"S-{number}")


PAPER_TABLES = (
    PublishedTable(
        "P0-I",
        "P0, Table I",
        "one-stage transfer",
        _MODEL,
        _APART,
        (PublishedRow(("RetinaNet", "COCO", "YES"), ONE_STAGE, ("RetinaNet → INbreast",)),),
        ("Training cascade",),
        notes=(OTHERS_RULES,),
    ),
    PublishedTable(
        "P0-II",
        "P0, Table II",
        "two-stage transfer",
        _MODEL,
        _APART,
        (PublishedRow(("RetinaNet", "CBIS-DDSM", "YES"), TWO_STAGE, (_CASCADE,)),),
        ("Training cascade",),
        notes=(OTHERS_RULES, ONE_LESION),
    ),
    PublishedTable(
        "P0-III",
        "P0, Table III",
        "comparison with other methods",
        ("Paper",),
        _AT,
        (
            PublishedRow(("P0 (“ours” there)",), TWO_STAGE, ("Deep learning (two-stage transfer learning)",)),
            PublishedRow(("Ribli et al.",), RIBLI, ("Deep learning",)),
            PublishedRow(("Kozegar et al.",), KOZEGAR, ("Ensemble classifier",)),
            PublishedRow(("Dhungel et al.",), DHUNGEL, ("Deep learning",)),
            PublishedRow(("Akselrod-Ballin et al.",), AKSELROD_BALLIN, ("Deep learning",)),
            PublishedRow(("Agarwal et al.",), PATCH_CNN[-1:], ("Deep learning",)),
        ),
        ("Method",),
        notes=(OTHERS_RULES, MALIGNANT_ONLY, ONE_LESION),
    ),
    PublishedTable(
        "P0-IV",
        "P0, Table IV",
        "stage one on its own data (CBIS-DDSM)",
        _MODEL,
        _APART,
        (PublishedRow(("RetinaNet", "COCO", "YES"), STAGE_ONE_ALONE),),
        notes=(
            "The published column falls from .92 at .58 FPPI to .91 at .79, which no FROC curve can do, and "
            "lies far above independent work on these films: do not compare with it.",
        ),
    ),
    PublishedTable(
        "P0-V",
        "P0, Table V",
        "small and large masses (INbreast)",
        ("Lesion size", "Fine tune"),
        ("FPPI", "TPR"),
        (
            PublishedRow(("small, < 2 cm", "YES"), _points((0.5, 0.93)), (_CASCADE,), "<2cm"),
            PublishedRow(("large, ≥ 2 cm", "YES"), _points((0.5, 0.98)), (_CASCADE,), ">=2cm"),
        ),
        ("Training cascade",),
        ours="size_bands",
        notes=(
            OTHERS_RULES,
            "Our sizes are the longest side of the box as annotated; P0 does not say how it measured.",
        ),
    ),
    _sweep(
        "VI",
        "learning rate (INbreast)",
        "Learning rate",
        {"0.000001": 0.95, "0.000005": 0.96, "0.00001": 0.99, "0.00005": 0.91, "0.0001": 0.89},
        "0.00001",
    ),
    _sweep(
        "VII",
        "weighting factor α (INbreast)",
        "Weighting factor",
        {"0.15": 0.88, "0.2": 0.91, "0.25": 0.99, "0.3": 0.98, "0.35": 0.90},
        "0.25",
        (ONE_LESION,),
    ),
    _sweep(
        "VIII",
        "focusing parameter γ (INbreast)",
        "Focusing parameter",
        {"1.5": 0.96, "1.75": 0.97, "2": 0.99, "2.25": 0.95, "2.5": 0.94},
        "2",
    ),
    # P2's text and Fig. 4 (seed 002): patient-wise five folds; the setups are its Table 1.
    PublishedTable(
        "P2-S",
        "P2, Fig. 4",
        "seven setups of training and test",
        ("Setup", "Training", "Test"),
        _AT,
        (
            _setup(1, "INbreast", "INbreast", (1.3, 0.91, 0.07), (3.0, 0.95, 0.04)),
            _setup(2, "in-house", "in-house", (1.3, 0.98, 0.02), (3.0, 0.99, 0.02)),
            _setup(3, "both", "INbreast", (1.3, 0.92, 0.05), (3.0, 0.97, 0.02)),
            _setup(4, "both", "in-house", (1.3, 1.0, 0.0), (3.0, 0.99, 0.01)),
            _setup(5, "both", "both", (1.3, 0.98, 0.02), (3.0, 0.97, 0.02)),
            _setup(6, "in-house, then INbreast", "INbreast", (1.3, 0.94, 0.05), (3.0, 0.97, 0.02)),
            _setup(7, "INbreast, then in-house", "in-house", (1.3, 0.98, 0.02), (3.0, 0.99, 0.02)),
        ),
        joins="rows",
        notes=(
            OTHERS_RULES,
            "P2's S-4 and S-5 fall from 1.3 to 3 FPPI, which no FROC curve can do: read them as equal.",
            "P2's in-house images are not public; another collection plays their part in ours.",
        ),
    ),
    PublishedTable(
        "P3",
        "P3, Table 4",
        "comparison on INbreast",
        ("Methods",),
        _AT,
        (
            PublishedRow(("Kozegar et al.",), KOZEGAR, ("107/410",)),
            PublishedRow(("Akselrod-Ballin et al.",), AKSELROD_BALLIN, ("100/410",)),
            PublishedRow(("Dhungel et al.",), DHUNGEL[:1], ("410",)),
            PublishedRow(("Ribli et al.",), RIBLI, ("malignant only",)),
            PublishedRow(("P3 (“proposed framework” there)",), PATCH_CNN, ("410",)),
            PublishedRow(("P3, from ImageNet only (its Fig. 3)",), PATCH_CNN_FROM_IMAGENET, ("410",)),
        ),
        ("# Images (INbreast)",),
        notes=(OTHERS_RULES, MALIGNANT_ONLY, ONE_LESION),
    ),
    PublishedTable(
        "P3-sizes",
        "P3, Fig. 5",
        "masses by area (INbreast)",
        ("Lesion area",),
        ("FPPI", "TPR"),
        (
            PublishedRow(("small, < 1 cm²",), _points((0.5, 0.89)), (), "<1cm2"),
            PublishedRow(("medium, 1–4 cm²",), _points((0.5, 0.97)), (), "1-4cm2"),
            PublishedRow(("large, > 4 cm²",), _points((0.5, 0.97)), (), ">4cm2"),
        ),
        ours="area_bands",
        notes=(OTHERS_RULES,),
    ),
)

# P1, Table 2 (seed 001). Its last column prints ResNet101+FPN again; the discussion gives its figures to R50.
P1_DETECTORS = (
    PublishedDetector("RetinaNet", "ResNet101+FPN", 0.735, 0.60, 0.66, 0.568, "retinanet-r101"),
    PublishedDetector("RetinaNet", "ResNet50+FPN", 0.7664, 0.4417, 0.5604, 0.502, "retinanet-r50"),
    PublishedDetector("Faster R-CNN", "ResNet101+FPN", 0.6131, 0.6552, 0.6350, 0.544, "faster-rcnn-r101"),
    PublishedDetector("Faster R-CNN", "ResNet50+FPN", 0.5735, 0.6601, 0.6137, 0.523, "faster-rcnn-r50"),
)
P1_NOTES = (
    "P1 prints the backbone ResNet101 twice for Faster R-CNN; its text gives the second column to ResNet50.",
    "P1's images are its own (2378 / 400 / 400); it does not state the score of its precision and recall.",
)
# P2, text to Fig. 5 (seed 002): trained on all images with masses, tested on all without.
P2_NORMALS = (
    PublishedNormals("INbreast", {0.9: 0.42, 0.95: 0.34}),
    PublishedNormals("in-house", {0.9: 0.09, 0.95: 0.03}),
)
P2_NORMALS_NOTE = (
    "A score means what its own training made of it: equal scores of two models are not equally sure."
)


def table_keys() -> tuple[str, ...]:
    """What `Run.table` may say, in the order of print.

    >>> [key for key in table_keys() if key.startswith("P2")]
    ['P2-S1', 'P2-S2', 'P2-S3', 'P2-S4', 'P2-S5', 'P2-S6', 'P2-S7', 'P2-normals']
    """
    sensitivities = [
        key
        for table in PAPER_TABLES
        for key in (
            (f"P2-{row.row.replace('-', '')}" for row in table.rows) if table.key == "P2-S" else (table.key,)
        )
    ]
    place = sensitivities.index("P2-S1")
    return (
        *sensitivities[:place],
        "P1",
        *sensitivities[place : place + 7],
        "P2-normals",
        *sensitivities[place + 7 :],
    )


def table_rows(key: str) -> tuple[str, ...]:
    """What `Run.row` may say beside that table; nothing where its runs are columns.

    >>> table_rows("P0-VIII"), table_rows("P2-normals"), table_rows("P0-II")
    (('1.5', '1.75', '2', '2.25', '2.5'), ('INbreast', 'in-house'), ())
    """
    if key == "P1":
        return tuple(each.row for each in P1_DETECTORS)
    if key == "P2-normals":
        return tuple(each.data for each in P2_NORMALS)
    return tuple(
        row.row for table in PAPER_TABLES if table.key == key and table.joins == "rows" for row in table.rows
    )


def published_table() -> Table:
    """Sensitivity at FPPI as the papers print it (INbreast masses unless said otherwise)."""
    setups = {row.row: row.points for table in PAPER_TABLES if table.key == "P2-S" for row in table.rows}
    own = [setups[f"S-{number}"] for number in (1, 3, 6)]
    first, second = ("/".join(_short(points[n].sensitivity) for points in own) for n in (0, 1))
    return Table(
        "Published figures, for context",
        ("source", "setting", "sensitivity at FPPI"),
        (
            ("RetinaNet, two-stage transfer (P0)", "INbreast", _brief(TWO_STAGE, 0.25, 0.79, 1.67)),
            ("RetinaNet, one stage (P0)", "INbreast", _brief(ONE_STAGE, 0.25, 0.79, 1.67)),
            ("Agarwal et al., 2019, patch CNN (P3)", "INbreast", _brief(PATCH_CNN, 0.25, 0.79, 1.67)),
            ("the same, from ImageNet only (P3)", "INbreast", _brief(PATCH_CNN_FROM_IMAGENET)),
            ("Jung et al., 2018, RetinaNet (P2)", "INbreast, S-1/S-3/S-6", f"{first}@1.3 · {second}@3"),
            ("Ribli et al.", "INbreast, malignant lesions only", _brief(RIBLI)),
            ("Kozegar et al.", "INbreast", _brief(KOZEGAR)),
            ("Dhungel et al.", "INbreast", _brief(DHUNGEL[::-1])),
            ("Akselrod-Ballin et al.", "INbreast", _brief(AKSELROD_BALLIN)),
            ("independent re-implementation, not reviewed", "CBIS-DDSM, one view", _brief(REIMPLEMENTATION)),
        ),
    )


def _brief(points: tuple[PublishedPoint, ...], *fppi: float) -> str:
    """`.90±.06@.25 · .99±.02@1.67`, all points or those at `fppi`."""
    chosen = (point for point in points if not fppi or point.fppi in fppi)
    return " · ".join(f"{_spread(point)}@{f'{point.fppi:g}'.removeprefix('0')}" for point in chosen)


def _spread(point: PublishedPoint) -> str:
    return _short(point.sensitivity) + ("" if point.sd is None else f"±{_short(point.sd)}")


def _short(value: float) -> str:
    return digits_text(value).lstrip("0")
