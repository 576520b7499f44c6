"""One image of the data browser: its card, and the facts it can be filtered by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from mammo_monai.records import ImageRecord, Lesion
from mammo_monai.reports.browser.selection import Selected, assessment_of
from mammo_monai.reports.films.film import Film, film_html, kind_of, lesion_names
from mammo_monai.reports.films.shown import Shown
from mammo_monai.words import counted

UNKNOWN = "unknown"
_DENSITIES = "abcd"  # BI-RADS breast composition, 5th edition
_CARD_LINES = 4  # more are seen enlarged; browser.css hides them
_MAX_LINES = 40


@dataclass(frozen=True)
class Facts:
    """What an image can be filtered by, in words; of `types` and `codes` it can have several."""

    list: str
    view: str
    laterality: str
    birads: str
    density: str
    holds: str
    types: tuple[str, ...]
    codes: tuple[str, ...]


FIELDS: Mapping[str, str] = {
    "list": "List",
    "holds": "Holds",
    "types": "Lesion type",
    "view": "View",
    "laterality": "Laterality",
    "birads": "BI-RADS",
    "density": "Density",
    "codes": "Finding",
}


def facts_of(image: Shown, codes: Sequence[str]) -> Facts:
    """The facts of an image; one left out has those of its list and its findings only."""
    record = image.record
    if record is None:
        return Facts(image.place, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, image.place, (), tuple(codes))
    birads, density = assessment_of(record), _density(record)
    types = tuple(dict.fromkeys(kind_of(lesion) for lesion in record.lesions))
    holds = "no lesion" if record.is_normal else "mass" if record.has_mass else "other lesions only"
    return Facts(
        list=image.place,
        view=record.view_position.value if record.view_position else UNKNOWN,
        laterality=record.laterality.value if record.laterality else UNKNOWN,
        birads=UNKNOWN if birads is None else str(birads),
        density=density or UNKNOWN,
        holds=holds,
        types=types,
        codes=tuple(codes),
    )


def values_of(facts: Facts, field: str) -> tuple[str, ...]:
    """The values a fact has: one, or as many as there are."""
    value = getattr(facts, field)
    return value if isinstance(value, tuple) else (value,)


def filter_bar(facts: Sequence[Facts]) -> str:
    """One choice per fact that tells images apart; hidden until the script that works it has run."""
    fields = "".join(_choice(field, name, facts) for field, name in FIELDS.items())
    return (
        f'<form class="filters" hidden>{fields}'
        '<label class="switch"><input type="checkbox" name="boxes" checked> Boxes</label>'
        '<label class="switch"><input type="checkbox" name="outline" checked> Outline</label>'
        '<button type="reset">Show all</button><output aria-live="polite"></output></form>'
    )


def card_html(image: Shown, film: Film, facts: Facts, selected: Selected) -> str:
    """The card: the film, opened larger by a click, and what is known of the image."""
    record = image.record
    data = "".join(f' data-{field}="{escape("|".join(values_of(facts, field)))}"' for field in FIELDS)
    title = _title(facts) if record else "Image left out"
    spoken = f"{title}, record {image.record_id}, {_lesions_in_words(record)}"
    picture = film_html(film, spoken)
    if film.source:
        said = f'aria-label="Enlarge {escape(spoken)}"'
        picture = f'<a class="open" href="{escape(film.source)}" {said}>{picture}</a>'
    patient = f" · patient {selected.patients[record.patient_id]}" if record else ""
    return (
        f'<article class="card"{data}>{picture}<div class="facts"><h2>{escape(title)}</h2>'
        f'<p class="chips">{_chips(facts)}</p>{_lesion_list(record) if record else ""}'
        f"<p><code>{escape(image.record_id)}</code>{patient}</p></div></article>"
    )


_SEVERAL = ("types", "codes")


def _choice(field: str, name: str, facts: Sequence[Facts]) -> str:
    counts = Counter(value for each in facts for value in values_of(each, field))
    if len(counts) < 2 and not (field in _SEVERAL and counts):
        return ""
    options = "".join(
        f'<option value="{escape(value)}">{escape(value)} ({counts[value]})</option>'
        for value in sorted(counts, key=lambda value: (value == UNKNOWN, value))
    )
    return f'<label>{name} <select name="{field}"><option value="">all</option>{options}</select></label>'


def _title(facts: Facts) -> str:
    return " ".join(each for each in (facts.laterality, facts.view) if each != UNKNOWN) or "View unknown"


def _chips(facts: Facts) -> str:
    chips = [("list", facts.list)]
    chips += [("birads", f"BI-RADS {facts.birads}")] if facts.birads != UNKNOWN else []
    chips += [("density", f"density {facts.density}")] if facts.density != UNKNOWN else []
    chips += [("finding", code) for code in facts.codes]
    return "".join(f'<span class="chip {kind}">{escape(text)}</span>' for kind, text in chips)


def _lesion_list(record: ImageRecord) -> str:
    if record.is_normal:
        return '<p class="lesions quiet">No lesion annotated</p>'
    names = [short for _, short in lesion_names(record)]
    named = sorted(zip(record.lesions, names, strict=True), key=lambda each: each[0].label)
    lines = [
        f'<li class="{kind_of(lesion)}"><b>{short}</b> {escape(_lesion_text(lesion, record))}</li>'
        for lesion, short in named[:_MAX_LINES]
    ]
    if len(named) > _CARD_LINES:
        counts = Counter(kind_of(lesion) for lesion, _ in named)
        said = ", ".join(counted(number, kind) for kind, number in counts.items())
        lines.append(f'<li class="more">{len(named)} in all: {said}</li>')
    return f'<ul class="lesions">{"".join(lines)}</ul>'


def _lesion_text(lesion: Lesion, record: ImageRecord) -> str:
    """Type, assessment, pathology and size, as far as known."""
    parts = [lesion.type.replace("+", " + ") or kind_of(lesion)]
    parts += [f"BI-RADS {lesion.birads}"] if lesion.birads is not None else []
    parts += [lesion.pathology.replace("_", " ").lower()] if lesion.pathology else []
    if record.pixel_spacing_mm and not lesion.is_dot:
        x_min, y_min, x_max, y_max = lesion.box
        row_mm, column_mm = record.pixel_spacing_mm
        parts.append(f"{(x_max - x_min) * column_mm:.0f} × {(y_max - y_min) * row_mm:.0f} mm")
    return ", ".join(parts)


def _lesions_in_words(record: ImageRecord | None) -> str:
    if record is None:
        return "not in any list"
    counts = Counter(kind_of(lesion) for lesion in record.lesions)
    return " and ".join(counted(number, kind) for kind, number in counts.items()) or "no lesion annotated"


def _density(record: ImageRecord) -> str:
    """Letter of the BI-RADS category 1–4; "" where it is unknown, the number itself where it is none."""
    category = record.breast_density
    if category is None:
        return ""
    return _DENSITIES[category - 1] if 1 <= category <= len(_DENSITIES) else str(category)
