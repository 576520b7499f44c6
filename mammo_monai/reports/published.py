"""Published figures for context: other splits, other rules, other patients; never a gate, never a ranking."""

from __future__ import annotations

from mammo_monai.reports.tables import Table

CAVEAT = (
    "Not comparable unless split and rule are the same. These figures come from other splits of the data, "
    "other matching rules and other counts of lesions. Between .98 and .99 on INbreast lies one lesion of "
    "112 (Wilson 95 %: .937–.995 and .951–.998)."
)


def published_table() -> Table:
    """Sensitivity at FPPI as the papers print it (INbreast masses unless said otherwise)."""
    return Table(
        "Published figures, for context",
        ("source", "setting", "sensitivity at FPPI"),
        (
            ("RetinaNet, two-stage transfer (P0)", "INbreast", ".90±.06@.25 · .96±.04@.79 · .99±.02@1.67"),
            ("RetinaNet, one stage (P0)", "INbreast", ".89@.25 · .93@.79 · .94±.02@1.67"),
            ("Agarwal et al., 2019, patch CNN (P3)", "INbreast", ".87±.07@.25 · .95@.79 · .98±.02@1.67"),
            ("the same, from ImageNet only (P3)", "INbreast", ".91±.07@2.1"),
            ("Jung et al., 2018, RetinaNet (P2)", "INbreast, S-1/S-3/S-6", ".91/.92/.94@1.3 · .95/.97/.97@3"),
            ("Ribli et al.", "INbreast, malignant lesions only", ".90@.3"),
            ("Kozegar et al.", "INbreast", ".87@3.67"),
            ("Dhungel et al.", "INbreast", ".90±.02@1.3 · .95±.02@5"),
            ("Akselrod-Ballin et al.", "INbreast", ".93@.56"),
            ("independent re-implementation, not reviewed", "CBIS-DDSM, one view", ".784@.5 · .855@1"),
        ),
    )
