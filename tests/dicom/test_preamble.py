from __future__ import annotations

import os
from pathlib import Path

from mammo_monai.dicom.preamble import is_dicom


def test_dicom_is_known_by_its_preamble_whatever_its_name(tmp_path: Path) -> None:
    contents = {"a.png": b"\1" * 128 + b"DICM...", "b.dcm": b"DICM", "c.dcm": b"", "d": b"\0" * 129 + b"DICM"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert [name for name in contents if is_dicom(tmp_path / name)] == ["a.png"]


def test_a_pipe_is_no_dicom_file_and_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not is_dicom(tmp_path / "pipe")
