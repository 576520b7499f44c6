from pathlib import Path

import pytest

from mammo_monai.cli.main import main


def test_list_names_the_applications_and_their_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "list"]) == 0
    shown = capsys.readouterr().out
    assert "monai-label" in shown
    assert "monai-deploy" in shown


def test_path_prints_the_folder_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "path", "monai-label"]) == 0
    assert (Path(capsys.readouterr().out.strip()) / "main.py").is_file()


def test_copy_prints_where_the_copy_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "copy", "monai-label", str(tmp_path / "mine")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "mine")
    assert main(["apps", "copy", "monai-label", str(tmp_path / "mine")]) == 2
    assert "expected nothing there" in capsys.readouterr().err


def test_an_unknown_application_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apps", "path", "nothing"]) == 2
    assert "expected monai-deploy or monai-label" in capsys.readouterr().err


def test_stock_writes_a_copy_for_the_monaibundle_app(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apps", "stock", "--bundle", "cbis_mass_detection", str(tmp_path)]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert (folder / "models" / "model.pt").is_file()
    assert (folder / "configs" / "inference.json").is_file()
