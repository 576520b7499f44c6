"""The defaults of every bundle's ids as a Markdown table, put into docs/reference/bundles.md.

python scripts/docs/bundle_ids.py          # rewrites the tables between the comments
python scripts/docs/bundle_ids.py --check  # says whether it would; 1 if so
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "bundles.md"
CONFIGS = ("train.json", "inference.json", "evaluate.json", "multi_gpu_train.json", "staged_train.json")
_MARK = re.compile(r"(<!-- defaults of (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MOST_TEXT = 60


def families(bundles: Path = ROOT / "bundles") -> dict[str, list[Path]]:
    """Folders of bundles by family, a family's first stage first."""
    found: dict[str, list[tuple[bool, str, Path]]] = {}
    for path in sorted(bundles.glob("*/configs/metadata.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        root = path.parent.parent
        found.setdefault(content["family"], []).append((bool(content["lineage"]["parent"]), root.name, root))
    return {name: [root for _, _, root in sorted(each)] for name, each in sorted(found.items())}


def ids_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The ids of a configuration with their values; of `train` and `validate` the ids inside."""
    ids: dict[str, Any] = {}
    for name, value in config.items():
        if name in ("train", "validate"):
            ids |= {f"{name}#{each}": inner for each, inner in value.items()}
        else:
            ids[name] = value
    return ids


def is_value(value: Any) -> bool:
    """Whether an id holds a plain value or a reference, which people override, and no component."""
    return not isinstance(value, Mapping | list) or value == []


def table(name: str) -> str:
    """Defaults of the value ids of one configuration file, a column for each family."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for family, roots in families().items():
        for path in (root / "configs" / name for root in roots):
            if path.is_file():
                groups.setdefault(family, []).append(ids_of(_load(path)))
    named = (item for found in groups.values() for one in found for item in one.items())
    ids = sorted({each for each, value in named if is_value(value)})
    lines = [f"| id | {' | '.join(groups)} |", f"|{'---|' * (len(groups) + 1)}"]
    for each in ids:
        cells = (_defaults(found, each) for found in groups.values())
        lines.append(f"| `{each}` | {' | '.join(cell or '–' for cell in cells)} |")
    return "\n".join(lines) + "\n"


def with_tables(text: str) -> str:
    """The page's text with every table made anew."""
    return _MARK.sub(lambda found: f"{found[1]}\n{table(found['name'])}\n{found[3]}", text)


def _defaults(bundles: list[dict[str, Any]], name: str) -> str:
    """What the bundles of a family have there, each value once, in their order."""
    return " / ".join(dict.fromkeys(_text(each[name]) for each in bundles if name in each))


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"`{str(value.get('_target_', 'values')).rpartition('.')[2]}`"
    shown = value if isinstance(value, str) else json.dumps(value)
    return f"`{shown}`" if len(shown) <= _MOST_TEXT else "an expression"


def _load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def main() -> int:
    before = PAGE.read_text(encoding="utf-8")
    after = with_tables(before)
    if "--check" in sys.argv[1:]:
        print(
            "the defaults are those of the bundles" if after == before else "they differ: run without --check"
        )
        return int(after != before)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
