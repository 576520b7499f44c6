"""Where a configuration would write: only into the bundle's own folder, and only if its text says so.

A file of one's choice is code of one's choice: a log named `.bashrc` runs at the next login.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from monai.bundle import ConfigParser, ReferenceResolver

from mammo_monai.bundle.inspection.code import Verdict
from mammo_monai.bundle.inspection.config_entries import Entry
from mammo_monai.bundle.inspection.text_building import pieces, reference

# Arguments of the components on the list that name what is written, and ids that stand for them.
WRITTEN = frozenset({"output", "output_dir", "log_dir", "cache_dir", "eval_dir", "out"})
_ROOT = "bundle_root"
_TAIL = re.compile(r"(/[\w \-][\w .\-]*)+/?")
_DEEPEST = 20
_EXPECTED = "writes to a place that the text does not tell: expected $@bundle_root + '/NAME'"


class WrittenPlaces:
    """Judges places by all configurations of a bundle: an id may be set by one file and used by another."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._values: dict[str, list[object]] = {}
        for each in entries:
            self._values.setdefault(_plain(each.id), []).append(each.value)

    def verdict(self, entry: Entry) -> Verdict | None:
        """What is wrong with the place that an entry names; None where nothing is, or it names none."""
        parts = _plain(entry.id).split("#")
        if parts[-1] == "_mode_" and entry.value == "callable" and self._is_own(parts[:-1]):
            return Verdict("unknown", "gives a component to others to call: where it writes is not told")
        is_about = parts[-1].startswith("_") and parts[-1] != "_target_"
        if is_about or not WRITTEN & set(parts):
            return None
        if parts[-1] in WRITTEN and self._is_inside(entry.value, entry.id, 0):
            return None
        return Verdict("unknown", _EXPECTED)

    def _is_own(self, parts: list[str]) -> bool:
        """Whether the component at an id is one of this package."""
        targets = self._values.get("#".join([*parts, "_target_"]), ())
        return any(str(each).startswith("mammo_monai.") for each in targets)

    def _is_inside(self, value: object, id: str, depth: int) -> bool:
        if value is None or isinstance(value, bool):
            return True
        if not isinstance(value, str) or depth > _DEEPEST:
            return False
        text = _plain(ConfigParser.resolve_relative_ids(id.replace("#", "::"), value))
        if text.startswith(("@", "%")):
            return self._is_inside_id(text[1:], depth + 1)
        if not text.startswith("$"):
            return False
        return self._is_inside_expression(text, depth)

    def _is_inside_id(self, id: str, depth: int) -> bool:
        if id == _ROOT:
            return True
        values = self._values.get(id, ())
        return bool(values) and all(self._is_inside(each, id, depth) for each in values)

    def _is_inside_expression(self, text: str, depth: int) -> bool:
        try:
            rewritten = ReferenceResolver.update_refs_pattern(text, _EveryId())
            tree = ast.parse(rewritten[1:].strip(), mode="eval").body
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return False
        return self._is_inside_tree(tree, depth)

    def _is_inside_tree(self, tree: ast.expr, depth: int) -> bool:
        if isinstance(tree, ast.IfExp):
            return all(self._is_inside_tree(each, depth) for each in (tree.body, tree.orelse))
        if isinstance(tree, ast.Constant):
            return tree.value is None
        first, *rest = pieces(tree)
        id = reference(first)
        is_tail = all(isinstance(each, ast.Constant) and _TAIL.fullmatch(str(each.value)) for each in rest)
        return id is not None and is_tail and self._is_inside_id(_plain(id), depth + 1)


class _EveryId(dict[str, object]):
    def __contains__(self, key: object) -> bool:
        return True


def _plain(id: str) -> str:
    return id.replace("::", "#")
