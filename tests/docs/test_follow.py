"""The follower of tutorials: blocks as written, in one shell, a row for each."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts" / "docs"
PAGE = """\
# A tutorial

## 1. Begin

<!-- run by: tests/docs/test_tutorial_install.py -->
```bash
NAME=reader; echo "pip install is $(pwd | xargs basename)"
```

<!-- quick: 3 => 1 -->
```bash
seq 3 > "$NAME.txt"
```

## 2. Go on

```python
from pathlib import Path
print("lines:", len(Path("reader.txt").read_text().split()))
```

```markdown
## No heading of the page
```

<!-- not run: nobody can do this here -->
```bash
exit 9
```

<!-- fails: 2 -->
```bash
exit 2
```
"""


@pytest.fixture
def follower(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/docs/follow.py, without the copy of the checkout."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    module = import_module("follow")
    monkeypatch.setattr(module, "copy_checkout", lambda target: target.mkdir())
    return module


def followed(follower: ModuleType, folder: Path, text: str, **options: object) -> object:
    page = folder / "a-tutorial.md"
    page.write_text(text, encoding="utf-8")
    return follower.follow(page, follower.Options(folder / "work", **options))


def test_blocks_are_run_as_written_in_one_shell(follower: ModuleType, tmp_path: Path) -> None:
    done = followed(follower, tmp_path, PAGE)
    assert done.code == 0, done.as_text()
    assert [step.heading for step in done.steps] == ["1. Begin", "1. Begin", "2. Go on", "2. Go on"]
    assert [step.code for step in done.steps] == [0, 0, 0, 2]
    assert done.steps[0].tail == "pip install is here"
    assert done.steps[2].tail == "lines: 3", "the replacements of the tests are not made"
    assert any("nobody can do this here" in note for note in done.notes)


def test_quick_makes_the_replacements_and_says_so(follower: ModuleType, tmp_path: Path) -> None:
    done = followed(follower, tmp_path, PAGE, is_quick=True)
    assert done.steps[2].tail == "lines: 1"
    assert any(note.startswith("quick") for note in done.notes)


def test_the_first_block_that_fails_ends_it_and_is_shown(follower: ModuleType, tmp_path: Path) -> None:
    done = followed(follower, tmp_path, PAGE.replace('seq 3 > "$NAME.txt"', "echo why >&2; false"))
    assert done.code == 1
    assert [step.code for step in done.steps] == [0, 1]
    assert done.as_text().endswith("why")
    assert "**ended with 1**" in done.as_markdown()


def test_an_earlier_environment_takes_the_place_of_the_install(follower: ModuleType, tmp_path: Path) -> None:
    text = PAGE.replace('"$NAME.txt"', "reader.txt")
    done = followed(follower, tmp_path, text, environment=tmp_path / "venv")
    assert len(done.steps) == 3
    assert any("installed before" in note for note in done.notes)


def test_a_page_keeps_what_others_found_and_takes_the_latest(follower: ModuleType, tmp_path: Path) -> None:
    record = import_module("follow_record")
    page = tmp_path / "followed.md"
    rows = (record.Step("1. Begin", "a | b", 70.0, 0),)
    for name, wall_s in (("one", 100.0), ("two", 5.0), ("one", 200.0)):
        record.write_record(
            page, record.Followed(name, name.title(), rows, 0, [], "2 cores", wall_s, 1.0, 0.5)
        )
    text = page.read_text()
    assert text.count("\n## ") == 2
    assert "3 min 20 s" in text
    assert "1 min 40 s" not in text
    assert "## [Two](two.md)" in text


def test_the_machine_is_told_in_words_without_a_path_or_a_host(follower: ModuleType) -> None:
    record = import_module("follow_record")
    words = record.machine(SCRIPTS.parents[1])
    assert "cores" in words
    assert "Python" in words
    assert "/" not in words.replace("/Linux", "")


def test_the_interpreter_told_of_is_that_of_the_environment_used(
    follower: ModuleType, tmp_path: Path
) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nprintf '3.99.1\\ntorch 9.9\\nmonai 8.8\\n'\n")
    python.chmod(0o755)
    words = import_module("follow_record").machine(SCRIPTS.parents[1], tmp_path)
    assert "Python 3.99.1; " in words
    assert "(torch 9.9, monai 8.8 of its constraints)" in words


def test_a_page_that_is_served_until_ctrl_c_is_opened_and_ended(tmp_path: Path) -> None:
    server = tmp_path / "server.py"
    server.write_text(
        "import http.server, sys\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
        "print(f'open http://127.0.0.1:{server.server_port}/', flush=True)\n"
        "try:\n    server.serve_forever()\nexcept KeyboardInterrupt:\n    print('ended by Ctrl+C')\n"
    )
    words = [sys.executable, str(SCRIPTS / "follow_served.py"), sys.executable, str(server)]
    # As in the background of a shell, where Ctrl+C is ignored.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 0, done.stderr
    assert "opened: 200" in done.stdout
    assert done.stdout.rstrip().endswith("ended by Ctrl+C")
