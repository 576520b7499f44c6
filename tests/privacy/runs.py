"""Runs commands in this process and keeps all they say: output, errors, log records, warnings."""

from __future__ import annotations

import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from unittest.mock import patch

from mammo_monai.cli.main import main
from mammo_monai.errors import MammoError
from tests.privacy.searched import Hit, markers_in


@dataclass
class Said:
    """What a program said. Attributes: streams: by `stdout`, `stderr`, `log` and `warnings`."""

    streams: dict[str, str] = field(default_factory=dict)

    def hits(self, where: str) -> list[Hit]:
        """Markers in all streams."""
        return [
            Hit(marker, f"{where}: {name}")
            for name, text in self.streams.items()
            for marker in markers_in(text.encode())
        ]


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def listening() -> Iterator[Said]:
    """Keeps what is said in the block; every logger of ours, pydicom's and pynetdicom's speaks at DEBUG."""
    said, records = Said(), _Records()
    out, err = io.StringIO(), io.StringIO()
    root, loud = logging.getLogger(), [logging.getLogger(name) for name in ("mammo_monai", "pydicom")]
    before = [each.level for each in loud]
    root.addHandler(records)
    for each in loud:
        each.setLevel(logging.DEBUG)
    try:
        # A bundle's logging.conf shuts all handlers down; absl's, once imported, closes the stream it has,
        # which is pytest's own, if that is not standard error at the time.
        with (
            warnings.catch_warnings(record=True) as caught,
            redirect_stdout(out),
            redirect_stderr(err),
            patch("logging.shutdown"),
        ):
            yield said
    finally:
        root.removeHandler(records)
        for each, level in zip(loud, before, strict=True):
            each.setLevel(level)
        said.streams = {
            "stdout": out.getvalue(),
            "stderr": err.getvalue(),
            "log": "\n".join(records.lines),
            "warnings": "\n".join(str(each.message) for each in caught),
        }


def command(*words: object) -> tuple[int, Said]:
    """Exit code and words of `mammo-monai --verbose WORDS`; a traceback that it would show is kept too."""
    with listening() as said:
        try:
            code = main(["--verbose", *map(str, words)])
        except (MammoError, OSError, ValueError):
            code, shown = 2, traceback.format_exc()
        except SystemExit as end:
            code, shown = int(end.code or 0), ""
        else:
            shown = ""
    said.streams["stderr"] += shown
    return code, said
