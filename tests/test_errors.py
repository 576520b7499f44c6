"""What every error of the package keeps to, whatever a stranger's file put into it."""

from __future__ import annotations

from mammo_monai.errors import LONGEST_MESSAGE, ManifestError


def test_a_message_is_never_longer_than_a_person_reads_and_keeps_place_and_remedy() -> None:
    told = str(ManifestError(f"boxes.csv: expected columns, found {'a,' * 50_000}. Name the columns."))
    assert len(told) == LONGEST_MESSAGE
    assert told.startswith("boxes.csv: expected columns, found a,")
    assert " […] " in told
    assert told.endswith("Name the columns.")


def test_a_message_that_can_be_read_stays_as_it_is() -> None:
    text = "x" * LONGEST_MESSAGE
    assert str(ManifestError(text)) == text
