"""Transfer syntaxes: the made image is read in each, and a decoder that is missing is named."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_monai.dicom.network.transfer_syntaxes import STORED_SYNTAXES
from mammo_monai.doctor import decoders
from mammo_monai.doctor.decoders import decoding_error, findings, made_image, samples
from mammo_monai.doctor.findings import Level


def test_every_syntax_that_is_taken_from_a_pacs_is_tried() -> None:
    tried = {made_image(name)[0].file_meta.TransferSyntaxUID for name in (*decoders._ALWAYS, *samples())}
    assert set(STORED_SYNTAXES) == tried


@pytest.mark.parametrize("name", [*decoders._ALWAYS, *samples()])
def test_the_made_image_is_read(name: str) -> None:
    assert decoding_error(name) == ""


def test_all_is_well_here() -> None:
    found = {each.name: each for each in findings({})}
    assert {each.level for each in found.values()} == {Level.OK}
    assert found["transfer syntaxes"].found == "16 of 16 are read here"


def test_a_missing_decoder_is_a_warning_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import JPEGLSLosslessDecoder

    monkeypatch.setattr(JPEGLSLosslessDecoder, "_available", {})
    (missing,) = [each for each in findings({}) if each.name == "JPEGLSLossless"]
    assert (missing.level, missing.found) == (Level.WARNING, "no decoder is installed")
    assert missing.fix == "python -m pip install 'mammo-monai[decoders]'"


def test_wrong_pixels_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "decode_stored_values", lambda *_: np.zeros((16, 24), np.uint16))
    found = {each.name: each for each in findings({})}
    assert found["RLELossless"].level is Level.FAULT
    assert "wrong by 3860 grey values" in found["RLELossless"].found
