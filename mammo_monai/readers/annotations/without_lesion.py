"""Images that count as normal although what is said of them speaks of a lesion.

Finding: box-missing (warned).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mammo_monai.readers.audit import Audit
from mammo_monai.records import ImageRecord
from mammo_monai.words import counted

SUSPICIOUS = 4
"""From this BI-RADS assessment on, biopsy is advised (ACR BI-RADS atlas, 5th edition)."""


def says_malignant(pathology: str) -> bool:
    """Whether a table's word for the pathology says cancer.

    >>> says_malignant("MALIGNANT"), says_malignant("benign"), says_malignant("")
    (True, False, False)
    """
    return pathology.strip().casefold().startswith(("malign", "cancer"))


def note_suspicious_normals(records: Sequence[ImageRecord], malignant: Collection[str], audit: Audit) -> None:
    """Notes how many images of BI-RADS 4 to 6, or called malignant, are without any lesion.

    A lesion may show in one view alone: what is drawn on another image of the breast will do.

    Args:
        records: with their patients. malignant: record ids of images that a table calls so.
    """
    drawn = {_breast(record) for record in records if record.lesions}
    found = [
        record
        for record in records
        if ((record.birads or 0) >= SUSPICIOUS or record.record_id in malignant)
        and _breast(record) not in drawn
    ]
    if found:
        said = (
            f"{counted(len(found), 'image')} of BI-RADS 4 to 6, or called malignant, without a lesion there "
            f"or on another image of the breast, as record {found[0].record_id}: normal, or were boxes lost?"
        )
        audit.note("box-missing", "", said)


def _breast(record: ImageRecord) -> tuple[str, object]:
    return record.patient_id, record.laterality
