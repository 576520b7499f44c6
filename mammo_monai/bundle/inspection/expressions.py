"""What a `$` expression of a configuration would do, read from its syntax tree; nothing is evaluated."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence

from monai.bundle import ConfigParser, ReferenceResolver

from mammo_monai.bundle.inspection.code import Verdict, worst
from mammo_monai.bundle.inspection.growth import growth_verdicts
from mammo_monai.bundle.inspection.known_names import BUILTINS, RESERVED, is_dangerous, name_verdict
from mammo_monai.bundle.inspection.text_building import pieces, reference, text_verdict, without_inner_sums

_MAX_LENGTH = 20_000
# Python's parser gives up, in some versions with a crash, a little above this.
_MAX_NESTED = 60
# Of objects that the configuration itself makes: methods that run them, and what they tell of themselves.
# None that builds a text: join, replace, strip … could put a path together that stands nowhere.
_METHODS = frozenset(
    [
        "run",
        "parameters",
        "named_parameters",
        "state_dict",
        "to",
        "eval",
        "train",
        "forward",
        "cpu",
        "cuda",
        "keys",
        "values",
        "items",
        "get",
        "startswith",
        "endswith",
        "index",
        "count",
        "shape",
        "size",
        "ndim",
        "dtype",
        "device",
        "item",
        "numel",
    ]
)
_RUN_STEPS = frozenset({"run", "train", "eval", "forward"})
_OUTSIDE = re.compile(
    r"(/|~|[A-Za-z]:[\\/]|\\\\|(file|https?|ftp|s3|gs|hdfs)://)|(.*[/\\])?\.\.([/\\].*)?$", re.DOTALL
)
_PLAIN = (
    *(ast.Expression, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.List),
    *(ast.Tuple, ast.Dict, ast.Set, ast.Slice, ast.Starred, ast.JoinedStr, ast.FormattedValue, ast.keyword),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.Subscript, ast.Call),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context),
)


class _EveryId(dict[str, object]):
    """Stands for all ids of a configuration: MONAI puts them into an expression only where they are there."""

    def __contains__(self, key: object) -> bool:
        return True


def leads_outside(text: str) -> bool:
    """Whether a string is a path out of the bundle: absolute, a home, a URL, or through `..`.

    >>> leads_outside("/etc/passwd"), leads_outside("models/../../x"), leads_outside("models/x")
    (True, True, False)
    """
    return bool(_OUTSIDE.match(text))


def expression_verdict(text: str, id: str) -> Verdict:
    """The verdict on a string that begins with `$`, at an id of a configuration.

    The text is first rewritten by MONAI's own functions, as a run does: ids become `__local_refs['id']`,
    relative ones are completed with the keys above them, which could smuggle code in.
    """
    if len(text) > _MAX_LENGTH or deepest_nesting(text) > _MAX_NESTED:
        return Verdict("unreadable", f"{len(text)} characters, or nested too deep")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = ConfigParser.resolve_relative_ids(id.replace("#", "::"), text)
            forms = [ReferenceResolver.update_refs_pattern(each, _EveryId()) for each in (whole, text)]
            forms.append(ReferenceResolver.normalize_id(text))
            trees = [_parsed(each[1:]) for each in forms]
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        return Verdict("unreadable", f"cannot be parsed: {str(error).partition(chr(10))[0] or repr(error)}")
    if trees[0] is None:
        return Verdict("unreadable", "no Python expression; a run would fail here, or do what is not seen")
    if not text.isascii() and any(_odd_names(text)):
        return Verdict("dangerous", "letters that look like others: compare character by character")
    try:
        return worst([verdict for tree in trees if tree is not None for verdict in _verdicts(tree)])
    except RecursionError:
        return Verdict("unreadable", "nested too deep")


def deepest_nesting(text: str) -> int:
    """How many brackets or signs stand open at most, counted without parsing; too many rather than too few.

    >>> deepest_nesting("$[(1 + 2)]"), deepest_nesting("$" + "-" * 100 + "1")
    (2, 100)
    """
    depth = deepest = signs = 0
    for each in text:
        depth += (each in "([{") - (each in ")]}")
        signs = signs + 1 if each in "-+~" else signs if each.isspace() else 0
        deepest = max(deepest, depth, signs)
    words = re.findall(r"\b(?:not|lambda|if|await)\b|\*\*", text)
    return max(deepest, len(words))


def is_import(text: str) -> bool:
    """Whether a `$` string is an import statement, which MONAI runs before anything else."""
    if len(text) > _MAX_LENGTH or deepest_nesting(text) > _MAX_NESTED:
        return False
    try:
        body = ast.parse(text[1:]).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bool(body) and isinstance(body[0], ast.Import | ast.ImportFrom)


def _parsed(text: str) -> ast.AST | None:
    try:
        return ast.parse(text.lstrip(" \t"), mode="eval")
    except SyntaxError:
        pass
    try:
        module = ast.parse(text)
    except SyntaxError:
        return None
    return module if module.body and isinstance(module.body[0], ast.Import | ast.ImportFrom) else None


def _verdicts(tree: ast.AST) -> list[Verdict]:
    if isinstance(tree, ast.Module):
        return [verdict for statement in tree.body for verdict in _statement(statement)]
    nodes = list(ast.walk(tree))
    bound = {name for each in nodes if isinstance(each, ast.comprehension) for name in _targets(each)}
    found = [Verdict("path", "joins of ids and names")] if _is_path(tree) else []
    built = without_inner_sums(nodes)
    if any(map(leads_outside, _first_texts(built))):
        found.append(Verdict("unknown", "a path out of the bundle"))
    texts = [str(each.value) for each in nodes if isinstance(each, ast.Constant)]
    if any(".." in re.split(r"[/\\]", each) for each in texts):
        found.append(Verdict("unknown", "a path out of the bundle"))
    found += growth_verdicts(tree)
    found += [verdict for node in built if (verdict := text_verdict(node))]
    return found + list(_walk(tree, bound))


def _statement(statement: ast.stmt) -> Iterator[Verdict]:
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        yield Verdict("dangerous", "statements after an import")
        return
    for alias in statement.names:
        from_module = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
        name = f"{from_module}{alias.name}"
        own = alias.name.rpartition(".")[2]
        if alias.asname not in (None, own) and (name, alias.asname) != ("numpy", "np"):
            yield Verdict("dangerous", f"imports {name} under the name {alias.asname}")
        elif name in ("monai", "torch", "numpy", "ignite", "mammo_monai", "math"):
            yield Verdict("known", f"imports {name}")
        else:
            yield name_verdict(name)


def _walk(node: ast.AST, bound: set[str]) -> Iterator[Verdict]:
    """Verdicts on a node and those below it; names and attribute chains are judged whole."""
    chain = _chain(node)
    if chain is not None:
        yield _name(chain, bound)
        return
    if isinstance(node, ast.Attribute):
        yield _attribute(node.attr)
        yield from _walk(node.value, bound)
        return
    if reference(node) is not None:
        return
    if isinstance(node, ast.Call) and _calls_what_is_given(node, bound):
        yield Verdict("unknown", "calls what the configuration made")
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        yield Verdict("unknown", "a piece of a text or list")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _RUN_STEPS:
        yield Verdict("run step", f".{node.func.attr}() of what the configuration made")
    elif not isinstance(node, _PLAIN):
        yield Verdict("unknown", f"code held in a configuration ({type(node).__name__})")
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, bound)


def _calls_what_is_given(node: ast.Call, bound: set[str]) -> bool:
    """Whether it calls no function by its name: a result, a loop's variable, or the `key` of `sorted`."""
    is_bound = isinstance(node.func, ast.Name) and node.func.id in bound
    is_named = isinstance(node.func, ast.Name | ast.Attribute) and not is_bound
    return not is_named or any(each.arg == "key" for each in node.keywords)


def _name(chain: list[str], bound: set[str]) -> Verdict:
    if chain[0] in bound and (chain[0] in RESERVED or is_dangerous(chain[0])):
        return Verdict("dangerous", f"gives {chain[0]} another meaning")
    if chain[0] in bound:
        return worst([_attribute(each) for each in chain[1:]])
    if len(chain) == 1 and chain[0] in BUILTINS:
        return Verdict("value", "a builtin")
    if chain[0] == "mammo_monai":
        # Some write where their arguments say, which is judged of a component's own ids alone.
        return worst([name_verdict(".".join(chain)), Verdict("unknown", "name it as a _target_ instead")])
    return name_verdict(".".join(chain))


def _attribute(name: str) -> Verdict:
    if name in _METHODS:
        return Verdict("value", f".{name}")
    if is_dangerous(name):
        return Verdict("dangerous", f"reaches {name}")
    return Verdict("unknown", f"reaches into an object (.{name})")


def _chain(node: ast.AST) -> list[str] | None:
    """`a.b.c` as its names; None where it does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else None


def _targets(node: ast.comprehension) -> list[str]:
    return [each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)]


def _is_path(tree: ast.AST) -> bool:
    return any(isinstance(each, ast.Constant) and "/" in str(each.value) for each in ast.walk(tree))


def _first_texts(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """The texts of an expression that stand at the beginning of what is built of them, or alone."""
    behind = {id(each) for node in nodes if isinstance(node, ast.expr) for each in pieces(node)[1:]}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in behind:
            yield node.value


def _odd_names(text: str) -> Iterator[str]:
    """Words with letters outside ASCII that stand outside of quotes: names, which Python folds to others."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", text)
    yield from (word for word in re.findall(r"\w+", bare) if not word.isascii())
