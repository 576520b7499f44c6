"""Faults of contour files: gone, a bomb of XML entities, masses that are dots."""

from __future__ import annotations

import plistlib

from mammo_monai.phantoms.written_tree import PhantomImage, contours_of

_LEVELS = 9
"""Each entity names ten of the one before: 10⁹ characters from a file of a kilobyte."""
_DOT_POINTS = 2


def remove(image: PhantomImage) -> str:
    """Removes the contours of an image with masses; without them it would seem normal."""
    contours_of(image).unlink()
    return "contours removed"


def plant_bomb(image: PhantomImage) -> str:
    """Puts a file in place of the contours whose entities expand to a gigabyte ("billion laughs")."""
    entities = ['<!ENTITY e0 "haha haha ">']
    entities += [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, _LEVELS)]
    text = '<?xml version="1.0"?>\n<!DOCTYPE plist [\n' + "\n".join(entities) + "\n]>\n"
    text += f'<plist version="1.0"><string>&e{_LEVELS - 1};</string></plist>\n'
    contours_of(image).write_text(text, encoding="ascii")
    return "contours replaced by a bomb of XML entities"


def shrink_to_dots(image: PhantomImage) -> str:
    """Leaves two points of every contour."""
    content = plistlib.loads(contours_of(image).read_bytes())
    for region in content["Images"][0]["ROIs"]:
        region["Point_px"] = region["Point_px"][:_DOT_POINTS]
        region["NumberOfPoints"] = len(region["Point_px"])
    contours_of(image).write_bytes(plistlib.dumps(content))
    return "contours of one or two points"
