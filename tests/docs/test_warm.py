"""A warm command is like a cold one: words, folder, variables, files, exit codes, signals."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from tests.docs.running import page_environment
from tests.docs.site import Site, site  # a fixture

__all__ = ["site"]


def shell(site: Site, folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    environment = page_environment(folder / "home", site.clients, site.cache)
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("script", "code", "out"),
    [
        ("mammo-monai --version", 0, "mammo-monai"),
        ("python -c 'import sys; print(sys.argv[1:], __name__)' a 'b c'", 0, "['a', 'b c'] __main__"),
        ("echo 'print(input()[::-1])' > s.py; echo abc | python s.py", 0, "cba"),
        ("printf 'import os\\nprint(os.getcwd())' | (mkdir d; cd d; python -)", 0, "/d"),
        ("A=5 python -c 'import os; print(os.environ[\"A\"])'", 0, "5"),
        ("python -u -c 'import sys; print(\"torch\" in sys.modules)'", 0, "True"),
        ("python -m json.tool <<< '[1]'", 0, "1"),
        ("python -m pip --version", 0, "pip "),
        ("python -c 'raise SystemExit(3)'", 3, ""),
        ("python -c '1/0'", 1, ""),
        ("mammo-monai nonsense", 2, ""),
        ("mammo-monai evaluate nothing.json --manifest nothing.json -o metrics.json", 2, ""),
        ("python -c 'import time; time.sleep(60)' & sleep 0.5; kill $!; wait $!", 143, ""),
        (
            'python -c \'import subprocess, sys; print(subprocess.call([sys.executable, "-c", "exit(4)"]))\'',
            0,
            "4",
        ),
    ],
)
def test_a_warm_command_ends_as_a_cold_one(
    script: str, code: int, out: str, site: Site, tmp_path: Path
) -> None:
    done = shell(site, tmp_path, script)
    assert done.returncode == code, done.stderr
    assert out in done.stdout


def test_a_killed_command_takes_its_fork_along(site: Site, tmp_path: Path) -> None:
    sleeps = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(100)"
    script = f'python -c "{sleeps}" & until [ -s pid ]; do sleep 0.1; done; kill -9 $!; wait $!'
    assert shell(site, tmp_path, script).returncode == 137
    process = int((tmp_path / "pid").read_text())
    subprocess.run(
        ["bash", "-c", f"for _ in $(seq 100); do kill -0 {process} || exit 0; sleep 0.1; done; exit 1"],
        check=True,
        capture_output=True,
    )


def test_a_client_killed_before_it_spoke_or_before_it_listened_leaves_the_server_answering(
    site: Site, tmp_path: Path
) -> None:
    address = str(site.clients.parent / "socket")
    for said in ("nothing", "half", "all"):
        with socket.socket(socket.AF_UNIX) as line, (tmp_path / "out").open("w") as out:
            line.connect(address)
            if said == "nothing":
                continue
            files = [out.fileno()] * 3
            words = {"words": ["python", "-c", "1"], "folder": str(tmp_path), "group": 0, "environment": {}}
            content = json.dumps(words).encode()
            socket.send_fds(line, [len(content).to_bytes(8, "big")], files)
            line.sendall(content if said == "all" else content[:9])
    assert shell(site, tmp_path, "python -c 'print(6 * 7)'").stdout == "42\n"


def test_the_seconds_of_a_command_are_noted(site: Site, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    shell(site, tmp_path, f"SNIPPET_COMMANDS={notes} python -c 'sum(range(10**7))'")
    seconds, _, words = notes.read_text().partition(" ")
    assert 0.05 < float(seconds) < 30
    assert words.startswith("python -c")
