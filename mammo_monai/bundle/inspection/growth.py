"""Expressions of a few characters that would fill the memory or never end: `9**9**9`, `'x' * 10**10`."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from mammo_monai.bundle.inspection.code import Verdict

MOST = 1_000_000  # items or characters that a configuration may ask for in an expression
_MOST_BITS = 64
_MOST_LOOPS = 2
_MOST_COPIES = 1000
_MOST_PRODUCTS = 100
_BOMB = Verdict("dangerous", "may fill the memory, or take for ever")


def growth_verdicts(tree: ast.AST) -> Iterator[Verdict]:
    """One verdict per operation whose size the text does not bound."""
    nodes = list(ast.walk(tree))
    if sum(isinstance(each, ast.Mult) for each in nodes) > _MOST_PRODUCTS:
        yield _BOMB  # each is weighed with all that it multiplies
        return
    for node in nodes:
        is_large = isinstance(node, ast.Constant) and _number(node) >= 2**_MOST_BITS
        is_asked = isinstance(node, ast.Call) and any(_number(each) > MOST for each in node.args)
        if is_large or is_asked or (isinstance(node, ast.BinOp) and _is_bomb(node)):
            yield _BOMB
    loops = [each for each in nodes if isinstance(each, ast.comprehension)]
    if len(loops) > _MOST_LOOPS:
        yield _BOMB


def _is_bomb(node: ast.BinOp) -> bool:
    if isinstance(node.op, ast.Pow | ast.LShift):
        base, power = _number(node.left), _number(node.right)
        # A power of a power, or of an id, may be any number.
        return not (isinstance(node.right, ast.Constant) and power <= _MOST_BITS and base < MOST)
    if not isinstance(node.op, ast.Mult):
        return False
    factors = _factors(node)
    numbers = [_number(each) for each in factors if _number(each)]
    others = len(factors) - len(numbers)
    if any(_is_sequence(each) for each in factors):
        return others > 1 or not numbers or math.prod(numbers) > _MOST_COPIES
    return others > 0 and math.prod(numbers) > MOST


def _factors(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), *_factors(node.right)]
    return [node]


def _is_sequence(node: ast.expr) -> bool:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    if isinstance(node, ast.BinOp):
        return _is_sequence(node.left) or _is_sequence(node.right)
    return is_text or isinstance(node, ast.List | ast.Tuple | ast.JoinedStr | ast.ListComp)


def _number(node: ast.expr) -> float:
    """The number that a constant, or a power of constants, is; 0 for anything else."""
    if isinstance(node, ast.UnaryOp):
        return _number(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not _is_bomb(node):
        try:
            return math.pow(_number(node.left), _number(node.right))
        except OverflowError:
            return math.inf
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return abs(node.value)
    return 0
