"""How an expression builds a text: an id with constants behind it, or in a way that hides what it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeGuard

from mammo_monai.bundle.inspection.code import Verdict

_LOCAL = "__local_refs"


def text_verdict(node: ast.AST) -> Verdict | None:
    """The verdict on a node that builds a text; None for one that builds none, or plainly.

    A path that the inspection refuses where it stands must not come together from harmless pieces.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
        return Verdict("unknown", "bytes: a text in other letters")
    is_format = isinstance(node, ast.FormattedValue) and (node.format_spec or node.conversion != -1)
    is_modulo = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_text(node.left)
    if is_format or is_modulo:
        return Verdict("unknown", "a format, which can make other letters")
    return _pieces_verdict(node) if _is_sum(node) or isinstance(node, ast.JoinedStr) else None


def without_inner_sums(nodes: Sequence[ast.AST]) -> list[ast.AST]:
    """The nodes without sums that are a part of another sum: its pieces are theirs, looked at once.

    A sum of a thousand terms is a thousand sums.
    """
    inner = {id(part) for node in nodes if _is_sum(node) for part in (node.left, node.right) if _is_sum(part)}
    return [node for node in nodes if id(node) not in inner]


def _is_sum(node: ast.AST) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)


def pieces(tree: ast.AST) -> Sequence[ast.expr]:
    """What a sum or an f-string puts together, from left to right; the expression itself where it is neither.

    >>> [ast.unparse(each) for each in pieces(ast.parse("a + 'b' + f'{c}d'", mode="eval").body)]
    ['a', "'b'", 'c', "'d'"]
    """
    if _is_sum(tree):
        return [*pieces(tree.left), *pieces(tree.right)]
    if isinstance(tree, ast.JoinedStr) and tree.values:
        return [each.value if isinstance(each, ast.FormattedValue) else each for each in tree.values]
    return [tree] if isinstance(tree, ast.expr) else []


def reference(node: ast.AST) -> str | None:
    """The id that `__local_refs['id']` stands for; None for anything else."""
    if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
        return None
    if node.value.id != _LOCAL or not isinstance(node.slice, ast.Constant):
        return None
    return node.slice.value if isinstance(node.slice.value, str) else None


def _pieces_verdict(node: ast.AST) -> Verdict | None:
    parts = pieces(node)
    if not any(map(_is_text, parts)):
        return None
    if not all(_is_text(each) or reference(each) is not None for each in parts):
        return Verdict("unknown", "a text put together from more than ids and constants")
    # Two ids side by side, or a piece of dots, could make a `..` that stands nowhere.
    are_side_by_side = any(not _is_text(one) and not _is_text(other) for one, other in pairwise(parts))
    if are_side_by_side or any(map(_has_dots, parts)):
        return Verdict("unknown", "a text whose pieces could be a path out of the bundle")
    return None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _has_dots(node: ast.expr) -> bool:
    text = node.value if isinstance(node, ast.Constant) else ""
    return any(set(part) == {"."} for part in re.split(r"[/\\]", str(text)))
