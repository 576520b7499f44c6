"""JSON that means harm is a ValueError with a reason, and one of our errors with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_monai.errors import ManifestError, WeightsError
from mammo_monai.schema.json_text import MAX_DEPTH, json_value, read_json


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 100_000, f"nested deeper than {MAX_DEPTH} lists and objects"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper"),
        (b"9" * 1_000_000, "1000000 digits"),
        (rb'{"record_id": "\ud800"}', "half a surrogate pair, which is no character"),
        (rb'{"\udfff": 1}', "half a surrogate pair"),
        ("é".encode("latin-1"), "utf-8"),
        (b'"a\x00b"', "control character"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
    ],
    ids=range(10),
)
def test_a_text_that_means_harm_is_a_value_error(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        json_value(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_of_unicode_is_read(encoding: str) -> None:
    assert json_value('{"é": ["😀", 1]}'.encode(encoding)) == {"é": ["😀", 1]}


def test_a_whole_pair_of_surrogates_is_a_character() -> None:
    assert json_value(rb'"\ud83d\ude00"') == "😀"


def test_the_deepest_allowed_value_is_read() -> None:
    assert repr(json_value(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)) == "[" * MAX_DEPTH + "]" * MAX_DEPTH


def test_a_key_named_twice_is_refused_where_people_write_the_file() -> None:
    text = b'{"a": {"host": 1, "host": 2}}'
    assert json_value(text) == {"a": {"host": 2}}
    with pytest.raises(ValueError, match="names 'host' twice, and nobody can say which holds"):
        json_value(text, unique_keys=True)


def test_the_file_is_named_in_an_error_of_the_type_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"[" * 100_000)
    with pytest.raises(WeightsError, match=rf"{path}: expected a list, but it cannot be read: it is nested"):
        read_json(path, "a list", WeightsError)
    with pytest.raises(ManifestError, match=rf"{tmp_path}/b\.json: no such file; expected a list"):
        read_json(tmp_path / "b.json", "a list")
    with pytest.raises(ManifestError, match=rf"{tmp_path}: a folder; expected a list"):
        read_json(tmp_path, "a list")


@pytest.mark.parametrize(
    "text", [b"[1, 99999999999999999999]", b'{"a": -' + b"9" * 5000 + b"}", b"18446744073709551616"]
)
def test_a_whole_number_that_no_array_holds_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"a whole number in it has (20|5000) digits, beyond 64 bits"):
        json_value(text)


def test_numbers_of_64_bits_and_long_fractions_are_read() -> None:
    text = b'[18446744073709551615, 0.12345678901234567890123, "1.2.840.99999999999999999999", 1e25]'
    assert json_value(text) == [2**64 - 1, 0.12345678901234567890123, "1.2.840.99999999999999999999", 1e25]


def test_more_than_the_memory_holds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("mammo_monai.schema.json_text.json.loads", full)
    with pytest.raises(ValueError, match="it holds more than fits into memory"):
        json_value("{}")
