"""Every rule of hits, levels and images of false positives, as slowly and plainly as the words say it.

Nothing here is shared with the package. Every threshold matches all images again from nothing, and a unit is
found when any lesion of its images is.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference.froc_reference import Box, iou

Found = tuple[int, int]  # number of the image, and of the lesion in it


@dataclass(frozen=True)
class Film:
    """One image: lesions are boxes, detections a box and a score; spacing is (row, column) in mm or None."""

    lesions: list[Box]
    detections: list[tuple[Box, float]]
    patient: str = ""
    laterality: str = ""
    spacing: tuple[float, float] | None = None


@dataclass(frozen=True)
class Rule:
    hit: str = "iou"
    min_iou: float = 0.2
    max_distance_mm: float | None = None
    level: str = "lesion"
    false_positives_on: str = "all"
    count_double_hits: bool = False


def middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def closeness(box: Box, lesion: Box, film: Film, rule: Rule) -> float | None:
    """How well a detection meets a lesion, more being better; None where it is no hit."""
    if rule.hit == "iou":
        overlap = iou(box, lesion)
        return overlap if overlap > rule.min_iou else None
    (x, y), (lesion_x, lesion_y) = middle(box), middle(lesion)
    width, height = lesion[2] - lesion[0], lesion[3] - lesion[1]
    if rule.hit == "center":
        is_inside = lesion[0] <= x < lesion[2] and lesion[1] <= y < lesion[3]
        return -(((x - lesion_x) / width) ** 2) - ((y - lesion_y) / height) ** 2 if is_inside else None
    pixel_height, pixel_width = film.spacing or (1.0, 1.0)
    squared = ((x - lesion_x) * pixel_width) ** 2 + ((y - lesion_y) * pixel_height) ** 2
    if rule.max_distance_mm is not None:
        return -squared if squared <= rule.max_distance_mm**2 else None
    return -squared if squared < (max(width * pixel_width, height * pixel_height) / 2) ** 2 else None


def shown(film: Film, threshold: float, rule: Rule) -> tuple[set[int], int, int]:
    """Lesions found, false positives and double hits of one image at a threshold."""
    taken: set[int] = set()
    false_positives = doubles = 0
    for box, score in sorted(film.detections, key=lambda each: -each[1]):
        if score < threshold:
            continue
        near = {n: closeness(box, lesion, film, rule) for n, lesion in enumerate(film.lesions)}
        near = {n: value for n, value in near.items() if value is not None}
        free = [n for n in near if n not in taken]
        if free:
            taken.add(max(free, key=lambda n: (near[n], -n)))
        elif near:
            doubles += 1
        else:
            false_positives += 1
    return taken, false_positives, doubles


def unit(films: list[Film], place: Found, level: str) -> object:
    """What a lesion belongs to at the level."""
    film = films[place[0]]
    names: dict[str, object] = {
        "lesion": place,
        "image": place[0],
        "breast": (film.patient, film.laterality),
        "patient": film.patient,
    }
    return names[level]


def is_counted(film: Film, rule: Rule) -> bool:
    wanted = {"all": True, "normal": not film.lesions, "with_lesions": bool(film.lesions)}
    return wanted[rule.false_positives_on]


def froc(films: list[Film], rule: Rule) -> list[tuple[float, float | None]]:
    """FPPI and sensitivity from (0, 0) on, one row per score; the sensitivity is None without any lesion."""
    places = [(n, m) for n, film in enumerate(films) for m in range(len(film.lesions))]
    units = {unit(films, place, rule.level) for place in places}
    n_images = sum(is_counted(film, rule) for film in films)
    rows: list[tuple[float, float | None]] = [(0.0, 0.0 if units else None)]
    for threshold in sorted({score for film in films for _, score in film.detections}, reverse=True):
        found, false_positives = set(), 0
        for n, film in enumerate(films):
            taken, false, doubles = shown(film, threshold, rule)
            found |= {unit(films, (n, m), rule.level) for m in taken}
            if is_counted(film, rule):
                false_positives += false + (doubles if rule.count_double_hits else 0)
        rows.append((false_positives / n_images, len(found) / len(units) if units else None))
    return rows
