"""The help of every verb: what goes in and out, examples the parser takes, 100 columns, nearest names."""

from __future__ import annotations

import argparse
import re
import shlex

import pytest

from mammo_monai.cli.descriptions import DESCRIPTIONS
from mammo_monai.cli.examples import EXAMPLES
from mammo_monai.cli.main import build_parser, main
from mammo_monai.cli.parser import walk
from mammo_monai.errors import BundleError

COMMAND = build_parser()
PARSERS = {each.prog.removeprefix("mammo-monai").strip(): each for each in walk(COMMAND)}
WORDS = [(name, line) for name, lines in EXAMPLES.items() for line in lines]
MOST_OPTIONS = 10
# Their further words are values of a bundle's configuration.
TAKE_OVERRIDES = {"train", "predict"}


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    shown = [each for each in parser._actions if each.help != argparse.SUPPRESS]
    return [each for each in shown if not isinstance(each, argparse._HelpAction | argparse._VersionAction)]


def test_there_are_as_many_parsers_as_are_looked_at() -> None:
    assert len(PARSERS) > 60


@pytest.mark.parametrize("name", PARSERS)
def test_every_command_says_what_goes_in_and_out_and_shows_examples(name: str) -> None:
    parser = PARSERS[name]
    assert len((parser.description or "").split()) >= 7
    assert (parser.description or "")[-1] == "."
    takes_something = any(not isinstance(each, argparse._SubParsersAction) for each in options_of(parser))
    assert len(EXAMPLES[name]) >= (2 if takes_something else 1)


def test_no_text_is_for_a_command_that_is_not_there() -> None:
    assert EXAMPLES.keys() == PARSERS.keys()
    assert DESCRIPTIONS.keys() <= PARSERS.keys()


@pytest.mark.parametrize(("name", "line"), WORDS, ids=[f"{name} {line}"[:60] for name, line in WORDS])
def test_an_example_is_one_the_parser_takes(name: str, line: str) -> None:
    parsed, unknown = COMMAND.parse_known_args(shlex.split(f"{name} {line}"))
    assert parsed.verb in PARSERS
    assert not unknown or parsed.verb in TAKE_OVERRIDES
    assert all(re.fullmatch(r"--[a-z_#]+", word) for word in unknown[::2])


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_help_is_wider_than_the_terminal_or_100_columns(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = [line for each in walk(COMMAND) for line in each.format_help().splitlines()]
    # A word that cannot be broken, such as a path, may stand out of a narrow terminal, not of 100 columns.
    assert [line for line in lines if len(line) > max(columns, 100)] == []
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_has_words_and_long_lists_are_grouped(name: str) -> None:
    parser = PARSERS[name]
    for each in options_of(parser):
        if isinstance(each, argparse._SubParsersAction):
            continue
        assert each.help, each.dest
        if each.nargs != 0 and each.choices is None:
            assert each.metavar, each.dest
    for group in parser._action_groups:
        shown = [each for each in group._group_actions if each.option_strings and each in options_of(parser)]
        assert len(shown) <= MOST_OPTIONS, group.title


@pytest.mark.parametrize("name", PARSERS)
def test_every_default_that_is_no_switch_is_shown(name: str) -> None:
    for each in options_of(PARSERS[name]):
        if each.default in (None, False, argparse.SUPPRESS, "") or each.default == [] or not each.help:
            continue
        shown = PARSERS[name]._get_formatter()._expand_help(each)
        text = f"{each.default:g}" if isinstance(each.default, float) else str(each.default)
        assert text in shown, each.dest


def test_a_long_example_is_broken_where_a_shell_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    for name, parser in PARSERS.items():
        shown = parser.format_help().split("examples:\n")[1].split("\n\n")[0]
        commands = [shlex.split(line) for line in shown.replace("\\\n", " ").splitlines()]
        assert commands == [shlex.split(f"mammo-monai {name} {line}") for line in EXAMPLES[name]]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (
            ["predct", "film.dcm"],
            "mammo-monai: argument VERB: there is no 'predct'. Did you mean predict? See",
        ),
        (
            ["bundle", "lst"],
            "mammo-monai bundle: argument COMMAND: there is no 'lst'. Did you mean list? See",
        ),
        (["evaluate", "d", "--manifest", "m", "-o", "x", "--hti", "iou"], "--hti iou. Did you mean --hit"),
        (["evaluate", "d", "--manifest", "m", "-o", "x", "--hit", "centre"], "Did you mean center"),
        (
            ["dicom", "sr", "d", "-o", "x", "--reviewer"],
            "dicom sr: unrecognized arguments: --reviewer. Did you",
        ),
        (["show", "m", "--zzz"], "unrecognized arguments: --zzz. See mammo-monai show --help."),
        (["zzz"], "there is no 'zzz'; there are phantoms, manifest"),
    ],
)
def test_what_was_perhaps_meant_is_named(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert meant in error
    assert error.count("\n") == 1


def test_an_option_misspelt_before_a_bundle_is_named_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(args: argparse.Namespace) -> int:
        raise BundleError("--fpi: no such id in inference.json.")

    monkeypatch.setattr("mammo_monai.cli.predict.run", refuse)
    words = ["predict", "film.dcm", "--bundle", "cbis_mass_detection", "-o", "d.json", "--fpi", "0.5"]
    assert main(words) == 2
    assert capsys.readouterr().err.endswith("no such id in inference.json. Did you mean --fppi?\n")


def test_without_a_verb_it_says_what_can_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert "never diagnoses" in shown
    commands = re.findall(r"mammo-monai ([a-z]+)", shown)
    assert {"doctor", "predict", "train", "review"} <= set(commands) <= set(PARSERS)
    assert max(map(len, shown.splitlines())) <= 110
