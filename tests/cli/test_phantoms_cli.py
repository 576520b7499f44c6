from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from mammo_monai.cli.phantoms import add_parser


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["phantoms", *words])
    return int(args.run(args))


def test_phantoms_are_written_and_the_folder_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    words = ("--layout", "inbreast", "--patients", "2", "--seed", "3", "--out", str(out))
    assert run(*words, "--pixel-spacing-mm", "1.2") == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n"
    assert "2/2" in printed.err
    assert json.loads((out / "phantoms.json").read_text())["seed"] == 3


def test_an_unknown_layout_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("--layout", "vindr", "--out", str(tmp_path))
    assert stopped.value.code == 2
    assert "invalid choice: 'vindr'" in capsys.readouterr().err
