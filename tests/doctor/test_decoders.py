"""Transfer syntaxes: the made image is read in each, and a decoder that is missing is named."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from mammo_monai.dicom.network.transfer_syntaxes import STORED_SYNTAXES
from mammo_monai.doctor import decoders, versions
from mammo_monai.doctor.decoders import decoding_error, findings, made_image, samples
from mammo_monai.doctor.findings import Level


def test_every_syntax_that_is_taken_from_a_pacs_is_tried() -> None:
    tried = {made_image(name)[0].file_meta.TransferSyntaxUID for name in (*decoders._ALWAYS, *samples())}
    assert set(STORED_SYNTAXES) == tried


def missing_here() -> set[str]:
    """Syntaxes whose decoder has no build for this Python, where nobody has compiled it either."""
    is_there = importlib.util.find_spec("jpeg_ls") or "pyjpegls" not in versions.left_out("decoders")
    return set() if is_there else {"JPEGLSLossless", "JPEGLSNearLossless"}


@pytest.mark.parametrize("name", [*decoders._ALWAYS, *samples()])
def test_the_made_image_is_read(name: str) -> None:
    assert (decoding_error(name) == "") == (name not in missing_here())


def test_all_is_well_here() -> None:
    found = {each.name: each for each in findings({})}
    assert {each.name for each in found.values() if each.level is not Level.OK} == missing_here()
    assert found["transfer syntaxes"].found == f"{16 - len(missing_here())} of 16 are read here"


def test_a_missing_decoder_is_a_warning_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import JPEGLSLosslessDecoder

    monkeypatch.setattr(JPEGLSLosslessDecoder, "_available", {})
    monkeypatch.setattr(versions, "left_out", lambda _: [])
    (missing,) = [each for each in findings({}) if each.name == "JPEGLSLossless"]
    assert (missing.level, missing.found) == (Level.WARNING, "no decoder is installed")
    assert missing.fix == "python -m pip install 'mammo-monai[decoders]'"


def test_a_decoder_that_no_one_builds_for_this_python_is_a_warning_with_what_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pydicom.pixels.decoders import JPEGLSLosslessDecoder

    monkeypatch.setattr(JPEGLSLosslessDecoder, "_available", {})
    monkeypatch.setattr(versions, "left_out", lambda _: ["pyjpegls"])
    monkeypatch.setattr(versions, "python", lambda: "Python 3.14")
    (missing,) = [each for each in findings({}) if each.name == "JPEGLSLossless"]
    assert "pyjpegls has no build for Python 3.14: pip makes one where it finds a compiler." in missing.why
    assert missing.fix == "sudo apt-get install g++ python3.14-dev && python -m pip install pyjpegls"


def test_wrong_pixels_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "decode_stored_values", lambda *_: np.zeros((16, 24), np.uint16))
    found = {each.name: each for each in findings({})}
    assert found["RLELossless"].level is Level.FAULT
    assert "wrong by 3860 grey values" in found["RLELossless"].found
