"""container.md and release.md: their commands are those that script, Containerfile and command take."""

from __future__ import annotations

import json
import re
import shlex
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from mammo_monai.cli.main import build_parser
from mammo_monai.service.node import read_settings

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "docs" / "how-to" / "container.md"
RELEASE = ROOT / "docs" / "how-to" / "release.md"
IMAGES = {"mammo-monai": "command", "mammo-monai-node": "node"}
# What Podman's manual knows of these verbs; True: a value follows.
OPTIONS = {
    "build": {"--format": True, "--tag": True, "--target": True, "--build-arg": True},
    "run": {
        "--rm": False, "--detach": False, "--read-only": False, "--init": False, "--network": True,
        "--tmpfs": True, "--userns": True, "--volume": True, "--device": True, "--entrypoint": True,
        "--name": True, "--stop-timeout": True, "--publish": True,
    },
    "volume": {}, "exec": {}, "logs": {}, "stop": {}, "save": {"--output": True}, "load": {"--input": True},
}  # fmt: skip


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(page: Path) -> list[list[str]]:
    text = "".join(blocks(page, "bash")).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in text.splitlines() if line.strip()]


def parted(verb: str, words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Options with their values, and what stands behind them; an option that is unknown fails."""
    options, rest = [], list(words)
    while rest and rest[0].startswith("--"):
        name = rest.pop(0)
        options.append((name, rest.pop(0) if OPTIONS[verb][name] else ""))
    return options, rest


def instructions() -> list[str]:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


STAGES = re.findall(r"^FROM \S+ AS (\S+)$", "\n".join(instructions()), re.MULTILINE)
ARGUMENTS = set(re.findall(r"^ARG (\w+)", "\n".join(instructions()), re.MULTILINE))
PODMAN = [words[1:] for words in commands(CONTAINER)]


def test_the_page_shows_podman_alone() -> None:
    assert {words[0] for words in commands(CONTAINER)} == {"podman"}
    assert {words[0] for words in PODMAN} == set(OPTIONS)


@pytest.mark.parametrize("words", [each for each in PODMAN if each[0] == "build"], ids=" ".join)
def test_a_shown_build_names_stages_and_arguments_there_are(words: list[str]) -> None:
    options, rest = parted("build", words[1:])
    assert rest == ["."]
    assert {value.partition("=")[0] for name, value in options if name == "--build-arg"} <= ARGUMENTS
    given = dict(options)
    assert given.get("--target", "command") == IMAGES[given["--tag"]]
    assert given["--format"] == "docker"  # else the node has no health check


@pytest.mark.parametrize("words", [each for each in PODMAN if each[0] in ("run", "exec")], ids=" ".join)
def test_a_shown_run_gives_the_image_words_it_takes(words: list[str]) -> None:
    options, (image, *rest) = parted(words[0], words[1:])
    if words[0] == "exec":
        assert (image, rest.pop(0)) == ("mammo-node", "mammo-monai")
    elif "--entrypoint" in dict(options):
        assert (image, dict(options)["--entrypoint"], rest[0]) == ("mammo-monai", "python", "-c")
        compile(rest[1], "shown", "exec")
        return
    else:
        assert image in IMAGES
    if not rest:
        (default,) = [each for each in instructions() if each.startswith('CMD ["serve"')]
        rest = json.loads(default.removeprefix("CMD "))
    build_parser().parse_args(rest)


def test_every_build_argument_is_on_the_page() -> None:
    told = set(re.findall(r"`([A-Z_]+)`", CONTAINER.read_text(encoding="utf-8")))
    assert ARGUMENTS - {"SOURCE_DATE_EPOCH"} <= told


def test_the_shown_configuration_starts_a_node(tmp_path: Path) -> None:
    (shown,) = blocks(CONTAINER, "json")
    (tmp_path / "node.json").write_text(shown)
    settings = read_settings(tmp_path / "node.json")
    volumes = [each for each in instructions() if each.startswith("VOLUME")]
    assert volumes == [f'VOLUME ["{settings.folder.as_posix()}"]']
    assert f"EXPOSE {settings.receiving.port}" in instructions()


def test_the_compose_and_quadlet_files_say_what_the_commands_say() -> None:
    (compose,) = blocks(CONTAINER, "yaml")
    service = yaml.safe_load(compose)["services"]["node"]
    (quadlet,) = blocks(CONTAINER, "ini")
    parser = ConfigParser(strict=False)
    parser.read_string(quadlet)
    image = parser["Container"]["image"].removeprefix("localhost/")
    assert image == service["image"] == "mammo-monai-node"
    (run,) = [each for each in PODMAN if "--detach" in each]
    for port in (service["ports"][0], parser["Container"]["publishport"]):
        assert port in run
    assert service["read_only"] is (parser["Container"]["readonly"] == "true") is ("--read-only" in run)
    for target in ("/var/lib/mammo-monai", "/etc/mammo-monai:ro"):
        assert any(each.endswith(target) for each in service["volumes"])
        assert any(each.endswith(target) for each in run)
        assert target in quadlet


def test_the_release_page_shows_words_that_the_script_takes(release: Any) -> None:
    shown = [words[2:] for words in commands(RELEASE) if words[1:2] == ["scripts/release/run.py"]]
    assert [release.run.parsed(words).action for words in shown] == ["prepare", "build", "build"]


def test_the_release_page_shows_targets_of_make_that_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = [words[1] for words in commands(RELEASE) if words[0] == "make"]
    assert shown == ["test", "test-docs", "test-clinic", "audit"]
    for target in shown:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
