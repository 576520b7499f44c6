"""Which images are shown, and in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError
from mammo_monai.records import Lesion, Split
from mammo_monai.reports.browser.selection import Selection, assessment_of, select_images
from mammo_monai.schema import Manifest
from tests.reports.audit_scene import MASS, audited, findings, record


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return audited(tmp_path)


def ids(manifest: Manifest, **asked) -> str:
    """Last digits of the record ids, in order."""
    return "".join(
        each.record_id[-1] for each in select_images(manifest, findings(), Selection(**asked)).images
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "01398"),
        ({"split": Split.TRAINING}, "01"),
        ({"only": "lesions"}, "03"),
        ({"only": "normals"}, "1"),
        ({"only": "quarantined"}, "98"),
        ({"only": "lesions", "split": Split.TEST}, "3"),
        ({"code": "side-differs"}, "0"),
        ({"code": "file-cut-short"}, "9"),
        ({"limit": 2}, "01"),
        ({"order": "patient"}, "01398"),
        ({"order": "density"}, "01398"),
    ],
)
def test_what_is_asked_for_is_shown_in_the_order_of_the_manifest(
    manifest, asked: dict, expected: str
) -> None:
    assert ids(manifest, **asked) == expected


def test_the_most_lesions_or_the_highest_category_come_first_and_the_unknown_last(tmp_path: Path) -> None:
    one = {"lesions": (Lesion(MASS, birads=2),)}
    two = {"lesions": (Lesion(MASS), Lesion(MASS)), "birads": 5, "breast_density": 2}
    records = (record(tmp_path, 1), record(tmp_path, 2, **one), record(tmp_path, 3, **two))
    manifest = Manifest(test=records)
    assert ids(manifest, order="lesions") == "321"
    assert ids(manifest, order="birads") == "321"
    assert ids(manifest, order="density") == "312"
    assert ids(manifest, order="patient") == "132"  # 1 and 3 are of one patient


def test_an_image_is_assessed_by_itself_before_its_lesions(tmp_path: Path) -> None:
    plain = record(tmp_path, 1, lesions=(Lesion(MASS, birads=2), Lesion(MASS, birads=4), Lesion(MASS)))
    assert assessment_of(plain) == 4
    assert assessment_of(replace(plain, birads=0)) == 0
    assert assessment_of(replace(plain, lesions=())) is None


def test_how_many_matched_before_the_limit_is_known(manifest: Manifest) -> None:
    assert select_images(manifest, (), Selection(limit=2)).n_matching == 5


def test_each_image_has_the_codes_of_its_findings_once(manifest: Manifest) -> None:
    codes = select_images(manifest, findings() * 2, Selection()).codes
    assert codes["9" * 16] == ("file-cut-short",)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"split": Split.VALIDATION},
            r"manifest.json: no image to show for: split validation\. Ask for less",
        ),
        ({"split": Split.TEST, "only": "normals"}, "for: split test, only normals"),
        (
            {"code": "unheard"},
            "no finding of code 'unheard' in audit.csv beside it. Codes there: file-cut-short,",
        ),
        ({"code": "table-bom"}, "no image to show for: findings table-bom"),
    ],
)
def test_nothing_to_show_is_an_error_that_says_what_was_asked(manifest, asked: dict, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        ids(manifest, **asked)


def test_an_empty_manifest_has_nothing_to_show() -> None:
    with pytest.raises(ManifestError, match=r"^no image to show for: any"):
        select_images(Manifest(), (), Selection())


def test_a_limit_below_one_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        ids(manifest, limit=0)
