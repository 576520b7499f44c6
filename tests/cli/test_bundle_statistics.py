import shutil
from pathlib import Path

import pytest

from mammo_monai.bundle import find_bundle
from mammo_monai.cli.main import main
from mammo_monai.schema import Manifest, write_manifest


def test_a_strangers_bundle_is_asked_only_if_it_is_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = find_bundle("cbis_mass_detection") / "configs"
    stranger = shutil.copytree(configs, tmp_path / "stranger" / "configs").parent
    (stranger / "scripts.py").write_text("")
    write_manifest(tmp_path / "m.json", Manifest())
    words = ["bundle", "statistics", str(stranger), "--manifest", str(tmp_path / "m.json")]
    assert main(words) == 2
    assert "stranger: would run what is not known" in capsys.readouterr().err
    assert main([*words, "--trust"]) == 2
    said = capsys.readouterr().err
    assert "m.json" in said  # the next thing that is missing: its images
    assert "would run" not in said
