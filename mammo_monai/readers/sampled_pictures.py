"""Looks at a few films of a set that is read by its headers: is there a breast, and do masses lie in it?

Findings: image-unreadable, picture-blank, lesion-outside-breast (warned).

Boxes of mirrored, cropped or other images fit into their images and are wrong on most of them. Of 58 true
masses on 52 films each lies in the breast; of masses of the other side 93 in 100 lie beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from mammo_monai.errors import DicomError
from mammo_monai.imaging import breast_region
from mammo_monai.readers.audit import Audit, InvalidRecordError
from mammo_monai.readers.dicom_candidates import is_picture
from mammo_monai.readers.picture_checks import lesions_outside, outline_of, read_reduced
from mammo_monai.records import MASS_LABEL, ImageRecord

logger = logging.getLogger(__name__)

LOOKED_AT = 16
"""Films: so few that decoding them takes seconds, so many that two wrong rows in ten are met."""
_MIN_SHARE, _MIN_FILMS = 0.2, 2
# A smaller picture shows no outline of a breast.
_MIN_SIDE_PX = 200
_FOUND = {
    "picture-blank": "no breast can be seen: are they inverted, dense tissue dark, or blank?",
    "lesion-outside-breast": "all masses lie outside the breast: are the boxes those of mirrored, turned or "
    "other images?",
}


def note_sampled_pictures(records: Sequence[ImageRecord], audit: Audit) -> None:
    """Notes a set of which many films show no breast, or have all their masses outside it; or one is damaged.

    `LOOKED_AT` films with a mass are decoded.
    """
    films = [
        record for record in records if record.has_mass and min(record.width, record.height) >= _MIN_SIDE_PX
    ]
    chosen = [films[row * len(films) // LOOKED_AT] for row in range(LOOKED_AT)] if films else []
    looks = [_look(film) for film in dict.fromkeys(chosen)]
    seen = [verdict for verdict in looks if verdict is not None]
    if len(seen) < len(looks):
        said = f"{len(looks) - len(seen)} of {len(looks)} films that were looked at cannot be decoded"
        audit.note("image-unreadable", "", f"{said}; manifest check --pictures looks at all and names them")
    for code, found in _FOUND.items():
        count = seen.count(code)
        if count >= max(_MIN_FILMS, _MIN_SHARE * len(seen)):
            said = f"on {count} of {len(seen)} films that were looked at {found}"
            audit.note(code, "", f"{said} manifest check --pictures looks at all")


def _look(film: ImageRecord) -> str | None:
    """A code, "" where breast and masses are where they should be, None where the film cannot be read."""
    masses = tuple(lesion for lesion in film.lesions if lesion.label == MASS_LABEL)
    try:
        picture = outline_of(read_reduced(film.image))
    except (DicomError, InvalidRecordError, OSError) as error:
        logger.debug("%s", error)
        return None
    region = breast_region(picture, "otsu" if is_picture(film.image) else "global")
    if not region.any():
        return "picture-blank"
    is_beside = lesions_outside(region, replace(film, lesions=masses)) == len(masses)
    return "lesion-outside-breast" if is_beside else ""
