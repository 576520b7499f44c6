"""What a bundle must tell its next users: intended use and limits, in docs/README.md."""

from __future__ import annotations

import re
from pathlib import Path

CARD = "docs/README.md"
_PARTS = {"the intended use": "intended use", "the limits": "limits"}
_FEWEST_WORDS = 5


def card_faults(root: Path) -> list[str]:
    """One sentence per part of the model card that is missing or empty."""
    path = root / CARD
    if not path.is_file():
        return []  # `check_bundle` says it
    text = path.read_text(encoding="utf-8", errors="replace")
    return [
        f"{root.name}, {CARD}: does not say {what}; it needs a heading or a bold word {title!r} with a "
        "sentence under it."
        for what, title in _PARTS.items()
        if not says(text, title)
    ]


def says(text: str, title: str) -> bool:
    """Whether a heading or bold words begin with `title`, and at least five words follow it.

    >>> says("## Limits\\n\\nMasses only, one view at a time.", "limits")
    True
    >>> says("## Limits\\n\\n## References\\n\\nLin et al., ICCV, 2017.", "limits")
    False
    """
    heading = re.compile(rf"^(?:#+\s*|\*\*){re.escape(title)}\b[^\n]*", re.IGNORECASE | re.MULTILINE)
    for found in heading.finditer(text):
        rest = found[0].partition("**")[2].partition("**")[2] if found[0].startswith("**") else ""
        below = re.split(r"^#+\s", text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]
        if len(re.findall(r"\w+", rest + " " + below)) >= _FEWEST_WORDS:
            return True
    return False
