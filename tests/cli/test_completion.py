"""`mammo-monai completion` in real shells, where installed: verbs, options, choices, files, bundles."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import shtab

from mammo_monai.cli import completion_scripts
from mammo_monai.cli.completion import SHELLS
from mammo_monai.cli.completion_scripts import completion_script, install, script_path, shipped_bundles
from mammo_monai.cli.main import VERBS, main

ASK = """
source {script}
COMP_WORDS=({words} {begun})
COMP_CWORD={n}
COMPREPLY=()
$(complete -p mammo-monai | sed 's/.*-F \\([^ ]*\\).*/\\1/') mammo-monai {begun} ''
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# The script lies in a folder of fpath, as `--install` puts it; a terminal of its own takes the keys.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; cd {folder}; fpath=({folder} $fpath)'
zpty -w shell 'autoload -Uz compinit; compinit -u -D; echo REA''DY'
zpty -r shell shown '*READY*'
zpty -n -w shell '{line}'$'\\t'
zpty -r shell shown '*{expected}*'
print -r -- $shown
zpty -d shell
"""


# How a shell starts without its user's settings, loads a script, and says by its prompt that it takes keys.
STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source {script}; PS1='re''ady>'"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "fpath=({script.parent} $fpath); autoload -Uz compinit; compinit -u -D; PS1='re''ady>'",
    ),
    "tcsh": (["tcsh", "-f"], "source {script}; set prompt='re''ady>'"),
}


def script_for(shell: str, folder: Path) -> Path:
    """The script of a shell that is installed; else the test is skipped."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = folder / f"completion.{shell}"
    path.write_text(completion_script(shell) + "\n")
    return path


def bash(script: Path, line: str, folder: Path) -> set[str]:
    """What bash offers for a line; what is begun is its last word, empty after a space."""
    *words, begun = line.split(" ")
    text = ASK.format(
        script=script, words=" ".join(map(shlex.quote, words)), begun=begun or "''", n=len(words)
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", text], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return script_for("bash", tmp_path_factory.mktemp("bash"))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mammo-monai pre", {"predict", "prepare"}),
        ("mammo-monai dicom d", {"deidentify"}),
        ("mammo-monai evaluate --lev", {"--level"}),
        ("mammo-monai evaluate d.json --level b", {"breast"}),
        ("mammo-monai bundle check cbis_mass", {"cbis_mass_detection"}),
        ("mammo-monai train --bundle inbreast_mass", {"inbreast_mass_detection"}),
        ("mammo-monai train --bundle ow", {"own"}),
        ("mammo-monai show man", {"manifest.json"}),
        ("mammo-monai prepare manifest.json --out man", set()),
        ("mammo-monai prepare manifest.json --out ow", {"own"}),
        ("mammo-monai completion ", set(SHELLS)),
    ],
)
def test_bash_offers_verbs_options_choices_files_folders_and_bundles(
    bash_script: Path, line: str, offered: set[str], tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "manifest.json").touch()
    found = bash(bash_script, line, tmp_path)
    assert {each for each in found if not each.startswith("-") or "--lev" in line} == offered


def test_bash_offers_every_verb(bash_script: Path, tmp_path: Path) -> None:
    assert bash(bash_script, "mammo-monai ", tmp_path) >= set(VERBS)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_script_is_one_its_shell_reads(shell: str, tmp_path: Path) -> None:
    path = script_for(shell, tmp_path)
    words = [shell, "-f", "-c", f"source {path}"] if shell == "tcsh" else [shell, "-n", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_fish_offers_verbs_and_bundles(tmp_path: Path) -> None:
    path = script_for("fish", tmp_path)

    def offered(line: str) -> set[str]:
        text = f"source {path}; complete -C {shlex.quote(line)}"
        done = subprocess.run(["fish", "--no-config", "-c", text], capture_output=True, text=True, check=True)
        return {each.split("\t")[0] for each in done.stdout.splitlines()}

    assert offered("mammo-monai pre") == {"predict", "prepare"}
    assert "cbis_mass_detection" in offered("mammo-monai train --bundle cbis_")


def test_zsh_completes_a_verb(tmp_path: Path) -> None:
    script_for("zsh", tmp_path).rename(tmp_path / "_mammo-monai")
    text = ZSH.format(folder=tmp_path, line="mammo-monai sali", expected="saliency")
    words = ["zsh", "-f", "-c", text]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert "saliency" in done.stdout, done.stderr


def typed(shell: str, line: str, expected: str, folder: Path) -> str:
    """What a terminal shows after a line and Tab, until it shows what is expected, twenty seconds at most."""
    script = script_for(shell, folder)
    if shell == "zsh":
        script = script.rename(folder / "_mammo-monai")
    words, load = STARTS[shell]
    main_end, shell_end = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *words],  # tcsh and fish edit lines on a controlling terminal alone
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "vt100", "LANG": "C.UTF-8"},
        stdin=shell_end,
        stdout=shell_end,
        stderr=shell_end,
    )
    os.close(shell_end)

    def shown(wanted: str) -> str:
        text, until = "", time.monotonic() + 20
        while wanted not in text and time.monotonic() < until:
            if select.select([main_end], [], [], 0.2)[0]:
                text += os.read(main_end, 65536).decode(errors="replace")
            text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\0", "", text)  # bold, and the padding of a terminal
        return text

    try:
        os.write(main_end, f"{load.format(script=script)}\n".encode())
        assert "ready>" in shown("ready>")
        os.write(main_end, f"{line}\t".encode())
        return shown(expected)
    finally:
        process.kill()
        process.wait()
        os.close(main_end)


@pytest.mark.parametrize(
    ("shell", "line", "expected"),
    [
        ("bash", "mammo-monai predict --bundle two", r"two\ words/"),
        ("bash", "mammo-monai predict --bundle inbreast_m", "inbreast_mass_detection"),
        ("zsh", "mammo-monai predict --bundle two", r"two\ words/"),
        ("zsh", "mammo-monai predict films man", "manifest.json"),
        ("tcsh", "mammo-monai sali", "saliency"),
        ("tcsh", "mammo-monai predict films --bundle inbreast_m", "inbreast_mass_detection"),
    ],
)
def test_a_terminal_completes(shell: str, line: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "two words").mkdir()
    (tmp_path / "manifest.json").touch()
    assert expected in typed(shell, line, expected, tmp_path)


def test_zsh_is_told_the_short_help_and_that_a_verb_takes_several_files() -> None:
    lines = completion_script("zsh").splitlines()
    assert "    predict:'mark masses on images, write detections.json'" in lines
    assert any(each.startswith('  "*:images, folders') for each in lines)
    assert not any(each.startswith('  "(*)') for each in lines)


def test_folders_that_anybody_made_are_no_part_of_a_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("x$(touch pwned)", "own", "a b", "fine-1.0"):
        (tmp_path / "bundles" / name / "configs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    shipped = shipped_bundles()
    assert "cbis_mass_detection" in shipped
    assert not {"own", "x$(touch pwned)"} & set(shipped)
    assert not any("pwned" in completion_script(shell) for shell in SHELLS)
    monkeypatch.setattr(completion_scripts, "SHIPPED", (tmp_path / "bundles",))
    assert shipped_bundles() == ["fine-1.0", "own"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "BASH_COMPLETION_USER_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/mammo-monai"),
        ("zsh", ".local/share/zsh/site-functions/_mammo-monai"),
        ("fish", ".config/fish/completions/mammo-monai.fish"),
        ("tcsh", ".local/share/tcsh/mammo-monai.tcsh"),
    ],
)
def test_it_is_put_where_the_shell_looks(
    shell: str, place: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell, "--install"]) == 0
    assert main(["completion", shell, "--install"]) == 0  # again, over the older one
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"wrote {home / place}"
    assert lines[1].startswith(("Put this line into ~/.", "Open a new shell"))
    assert [each for each in home.rglob("*") if each.is_file()] == [home / place]
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == (home / place).read_text()


def test_a_folder_that_was_named_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASH_COMPLETION_USER_DIR", str(home / "own"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    assert script_path("bash") == home / "own" / "completions" / "mammo-monai"
    assert script_path("fish") == home / "config" / "fish" / "completions" / "mammo-monai.fish"


def test_bash_without_its_package_is_told_the_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion_scripts, "_BASH_COMPLETION", ("/nowhere",))
    assert install("bash").next_step.endswith(
        f"source {home}/.local/share/bash-completion/completions/mammo-monai"
    )
    monkeypatch.setattr(completion_scripts, "_BASH_COMPLETION", (os.sep,))
    assert install("bash").next_step.startswith("Open a new shell")


def test_an_install_for_a_user_without_a_home_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nowhere)
    assert main(["completion", "bash", "--install"]) == 2
    assert "no home folder: set HOME" in capsys.readouterr().err


def test_an_install_that_fails_leaves_the_old_script(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = install("fish")
    before = done.path.read_text()
    monkeypatch.setattr(shtab, "complete", lambda *_, **__: (_ for _ in ()).throw(OSError("odd")))
    with pytest.raises(OSError, match="odd"):
        install("fish")
    assert done.path.read_text() == before
