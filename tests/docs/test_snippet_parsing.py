"""What a page's comments mean: which blocks run, how they are made quick, and which pages are refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs.running import page_environment, run_steps
from tests.docs.snippets import Page, SnippetError, commands_of, parse_page
from tests.docs.steps import write_steps


def page_of(text: str) -> Page:
    return parse_page(Path("page.md"), text)


def test_blocks_come_in_order_with_their_line_and_world() -> None:
    page = page_of(
        "# A\n\n<!-- world: films -->\n\n```bash\nls\n```\n\n1. then\n\n   ```python\n   x = 1\n   ```\n"
    )
    assert page.world == "films"
    assert [(each.language, each.text, each.line) for each in page.blocks] == [
        ("bash", "ls\n", 5),
        ("python", "x = 1\n", 11),
    ]
    assert page.run_blocks == list(page.blocks)


@pytest.mark.parametrize(
    ("comment", "shown", "run"),
    [
        ("<!-- quick: 10 => 1 -->", "train --epochs 10", "train --epochs 1"),
        ("<!-- quick: + --epochs 1 -->", "train \\\n  --init none", "train \\\n  --init none --epochs 1"),
        ("<!-- quick: a => b -->\n<!-- quick: b c => d -->", "a c", "d"),
        ("<!-- quick:\n  a => b\n-->", "a", "b"),
        ("<!-- an aside -->", "a", "a"),
    ],
)
def test_quick_changes_what_is_run_and_not_what_is_shown(comment: str, shown: str, run: str) -> None:
    (block,) = page_of(f"{comment}\n```bash\n{shown}\n```\n").blocks
    assert block.text == f"{shown}\n"
    assert block.quick_text() == f"{run}\n"


@pytest.mark.parametrize("change", ["5 => 1", "no arrow", "+ --epochs 1"])
def test_a_quick_that_changes_nothing_is_refused(change: str) -> None:
    (block,) = page_of(f"<!-- quick: {change} -->\n```bash\na\nb\n```\n").blocks
    with pytest.raises(SnippetError, match="line 2: quick"):
        block.quick_text()


def test_blocks_that_others_run_are_not_run_by_the_page() -> None:
    text = (
        "<!-- page run by: tests/x.py -->\n```bash\na\n```\n<!-- not run: needs a GPU -->\n```bash\nb\n```\n"
        "<!-- file: c.json -->\n```json\n{}\n```\n```text\nd\n```\n"
    )
    page = page_of(text)
    assert page.run_blocks == []
    assert [each.run_by for each in page.blocks[:2]] == ["tests/x.py", ""]
    assert page.blocks[1].not_run == "needs a GPU"
    assert page.blocks[2].file == "c.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```bash\nls\n", "line 1: nothing closes"),
        ("```\nls\n```\n", "line 1: a block must say its language"),
        ("```sh\nls\n```\n", "line 1: a block must say its language"),
        ("<!-- fails: 2 -->\nwords\n```bash\nls\n```\n", "line 1: this comment stands before no block"),
        ("<!-- quick: a => b -->\n", "line 1: this comment stands before no block"),
        ("<!-- not run: slow -->\n```bash\nls\n```\n", "line 2: `not run` needs its reason"),
    ],
)
def test_a_page_that_cannot_be_meant_so_is_refused(text: str, message: str) -> None:
    with pytest.raises(SnippetError, match=message):
        page_of(text)


def test_slow_blocks_can_be_left_out() -> None:
    page = page_of("<!-- slow: trains twice -->\n```bash\na\n```\n```bash\nb\n```\n")
    assert [each.text for each in page.run_blocks] == ["a\n", "b\n"]
    assert [each.text for each in page.without_slow().blocks] == ["b\n"]


def test_a_longer_fence_holds_a_shorter_one() -> None:
    (block,) = page_of("````markdown\n```bash\nrm -r /\n```\n````\n").blocks
    assert (block.language, block.is_run) == ("markdown", False)


def test_commands_are_joined_and_freed_of_comments() -> None:
    assert commands_of("a \\\n  b   # c\n\n# d\ne --x#y 1\n") == ["a    b", "e --x#y 1"]


def ran(text: str, folder: Path) -> tuple[int, int, str]:
    (folder / "here").mkdir()
    steps = write_steps(page_of(text), folder / "steps")
    environment = page_environment(folder / "home", Path(sys.executable).parent, folder / "cache")
    result = run_steps(steps, folder / "here", environment, timeout_s=60)
    return result.code, result.line, result.output


def test_shell_blocks_share_a_shell_and_python_blocks_a_process(tmp_path: Path) -> None:
    text = (
        "```bash\nA=2\nmkdir b && cd b\n```\n<!-- file: c.txt -->\n```text\nhello\n```\n"
        "```python\nx = open('c.txt').read()\n```\n```python\nprint('x', x)\n```\n```bash\necho a $A\n```\n"
    )
    code, line, output = ran(text, tmp_path)
    assert (code, line) == (0, 15)
    assert "x hello" in output
    assert "a 2" in output


def test_the_block_that_fails_is_named_and_the_rest_is_not_run(tmp_path: Path) -> None:
    code, line, output = ran("```bash\ntrue\n```\n```bash\nfalse | cat\necho on\n```\n", tmp_path)
    assert (code, line) == (1, 4)
    assert "on" not in output.split()


@pytest.mark.parametrize(("ends", "code"), [(2, 0), (1, 97), (0, 97)])
def test_a_block_that_is_meant_to_fail_must_fail_so(ends: int, code: int, tmp_path: Path) -> None:
    text = f"<!-- fails: 2 -->\n```bash\nexit {ends}\n```\n```bash\necho after\n```\n"
    found, _, output = ran(text, tmp_path)
    assert found == code
    assert ("after" in output.split()) == (code == 0)


def test_what_a_page_leaves_running_is_ended(tmp_path: Path) -> None:
    code, _, output = ran("```bash\nsleep 1000 &\necho $!\n```\n", tmp_path)
    assert code == 0
    process = int(output.split()[-1])
    state = Path(f"/proc/{process}/stat")
    for _ in range(100):  # a busy machine takes its time to end it
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("it runs on")


def test_a_page_has_no_way_to_the_internet(tmp_path: Path) -> None:
    environment = page_environment(tmp_path / "home", tmp_path, tmp_path / "cache")
    assert environment["https_proxy"] == "http://127.0.0.1:9"
    assert environment["HOME"] == str(tmp_path / "home")
    assert "SSH_AUTH_SOCK" not in environment
    found = subprocess.run(
        ["bash", "-c", "echo $PATH"], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split(os.pathsep)[0] == str(tmp_path)
