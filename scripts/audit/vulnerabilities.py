"""Known vulnerabilities of every pinned version; what could not be asked about is said, and is no pass.

pip-audit ends with "No known vulnerabilities found" and 0 also where its service knew none of the packages,
as behind a mirror that has files and no advisories. Here that is "not audited".
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICES = ("pypi", "osv")
Runner = Callable[[str, Path], str]
"""Given a service and a requirement file, what pip-audit prints as JSON; "" where it could not ask."""


@dataclass(frozen=True)
class Finding:
    """One advisory that fits a pinned version.

    Attributes:
        fixed_in: versions without it; empty where there are none yet.
        aliases: other names of the same advisory.
    """

    package: str
    version: str
    advisory: str
    fixed_in: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """What a service said.

    Attributes:
        unasked: packages it said nothing about, with its reason.
    """

    service: str
    n_asked: int
    findings: tuple[Finding, ...]
    unasked: Mapping[str, str]


def audited(files: Iterable[str], run: Runner, services: Sequence[str] = SERVICES) -> Audit:
    """Asks one service after the other until one knows all packages; else what the best of them knew."""
    texts = list(files)
    answers = [_asked(texts, run, service) for service in services]
    for answer in answers:
        if answer.n_asked and not answer.unasked:
            return answer
    return max(answers, key=lambda each: each.n_asked)


def unexplained(audit: Audit, known: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """Findings that the list of known ones does not name, by advisory or alias, for the same package."""
    return [
        each
        for each in audit.findings
        if not any(
            known.get(name, {}).get("package") == each.package for name in (each.advisory, *each.aliases)
        )
    ]


def outdated(audit: Audit, known: Iterable[str]) -> list[str]:
    """Known findings that nothing fits any more."""
    names = {name for each in audit.findings for name in (each.advisory, *each.aliases)}
    return sorted(set(known) - names)


def pip_audit(tools: Path) -> Runner:
    """Runs the pip-audit of an environment; nothing is installed, and nothing resolved."""

    def run(service: str, path: Path) -> str:
        command = [str(tools / "pip-audit"), "--vulnerability-service", service, "--requirement", str(path)]
        command += ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout

    return run


def _asked(texts: Sequence[str], run: Runner, service: str) -> Audit:
    findings: list[Finding] = []
    unasked: dict[str, str] = {}
    n_asked = 0
    for text in texts:
        named = [line.partition("==")[0] for line in text.splitlines()]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "requirements.txt"
            path.write_text(text, encoding="utf-8")
            answer = _parsed(run(service, path))
        if answer is None:
            unasked |= dict.fromkeys(named, "the service gave no answer")
            continue
        told = {each["name"]: each for each in answer["dependencies"]}
        for name in named:
            if name not in told or "skip_reason" in told[name]:
                unasked[name] = told.get(name, {}).get("skip_reason", "the service did not name it")
                continue
            n_asked += 1
            findings += [_finding(told[name], each) for each in told[name].get("vulns", ())]
    return Audit(service, n_asked, tuple(findings), unasked)


def _parsed(text: str) -> Any:
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) and "dependencies" in content else None


def _finding(package: Mapping[str, Any], each: Mapping[str, Any]) -> Finding:
    return Finding(
        package["name"],
        package["version"],
        each["id"],
        tuple(each.get("fix_versions", ())),
        tuple(each.get("aliases", ())),
    )
