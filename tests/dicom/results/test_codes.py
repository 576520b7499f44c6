import pytest
from pydicom.sequence import Sequence
from pydicom.sr._concepts_dict import concepts

from mammo_monai.dicom.results import codes
from mammo_monai.dicom.results.codes import Code

ALL = [each for each in vars(codes).values() if isinstance(each, Code)]
ALL += [
    code
    for table in (
        codes.BREAST_CODES,
        codes.SIDE_CODES,
        codes.VIEW_CODES,
        codes.FINDING_CODES,
        codes.CAD_FINDING_CODES,
    )
    for code in table.values()
]


@pytest.mark.parametrize("code", [each for each in ALL if each.scheme in {"DCM", "SCT"}], ids=str)
def test_a_standard_code_is_one_that_pydicom_knows_by_the_same_words(code: Code) -> None:
    entries = [entry[code.value] for entry in concepts[code.scheme].values() if code.value in entry]
    meanings = {meaning.replace("\u200b", "").casefold() for meaning, _ in entries}
    assert code.meaning.casefold() in meanings


def test_no_code_says_what_a_mark_is_likely_to_be() -> None:
    forbidden = {
        "111047",
        "111013",
        "111023",
        "111005",
        "111053",
    }  # cancer, impressions, assessment, follow-up
    assert forbidden.isdisjoint(each.value for each in ALL)
    words = " ".join(each.meaning.casefold() for each in ALL)
    assert not any(word in words for word in ("cancer", "malignan", "benign", "bi-rads"))


def test_values_fit_a_short_string_and_are_told_apart() -> None:
    assert max(len(each.value) for each in ALL) <= 16
    assert len(codes.PRIVATE_SCHEME) <= 16
    own = [
        each.key for each in vars(codes).values() if isinstance(each, Code) and each.scheme == "99MAMMOMONAI"
    ]
    assert len(set(own)) == len(own) > 5


def test_a_missing_code_sequence_names_nothing() -> None:
    assert codes.code_of(None) == ("", "")
    assert codes.code_of(Sequence()) == ("", "")
    assert codes.code_of(codes.code_sequence(codes.CERTAINTY)) == ("111012", "DCM")
