"""Inspecting: everything a bundle would run is told before it runs, and nothing hides among nested things."""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mammo_monai.bundle import bundle_names, inspect_bundle
from mammo_monai.bundle.inspection.code import SAFE, Code
from mammo_monai.bundle.inspection.config_entries import Entry, OddKey, json_entries, yaml_entries
from mammo_monai.bundle.inspection.expressions import expression_verdict, leads_outside
from mammo_monai.bundle.inspection.known_names import target_verdict
from mammo_monai.bundle.inspection.logging_entries import logging_codes
from mammo_monai.bundle.inspection.text_building import pieces, without_inner_sums
from tests.bundle.packs import zipped

SHIPPED = sorted(path.parent.name for path in (Path(__file__).parents[2] / "bundles").glob("*/configs"))


def codes(folder: Path, content: object, name: str = "configs/train.json") -> tuple[Code, ...]:
    path = folder / "b" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return inspect_bundle(folder / "b").codes


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_bundle_is_on_the_list(name: str) -> None:
    found = inspect_bundle(name)
    assert name in bundle_names()
    assert found.outside == ()
    assert {"device", "known", "run step"} <= found.counts.keys()
    assert sum(found.counts.values()) == len(found.codes) > 50


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("$1 + 1", "value"),
        ("$@a * len(@b#c)", "value"),
        ("$dict", "value"),
        ("$[x.size for x in @a if x]", "value"),
        ("$@root + '/models/x.pt'", "path"),
        ('$f"{@root}/x"', "path"),
        ("$torch.device('cuda' if torch.cuda.is_available() else 'cpu')", "device"),
        ("$monai.utils.set_determinism(seed=@seed)", "known"),
        ("$import torch", "known"),
        ("$from monai.transforms import Resize", "known"),
        ("$np.float32", "known"),
        ("$@trainer.run()", "run step"),
        ("$lambda x: x", "unknown"),
        ("$monai", "unknown"),
        ("$torch.load_state", "unknown"),
        ("$unheard.of(1)", "unknown"),
        ("$@x.module", "unknown"),
        ("$type(@x)", "unknown"),
        ("$'{0.x}'.format(@x)", "unknown"),
        ("$(y := 1)", "unknown"),
        ("$'/etc/passwd'", "unknown"),
        ("$@root + '/../../x'", "unknown"),
        ("$'http://x.org/' + @name", "unknown"),
        ("$import glob", "dangerous"),
        ("$import os", "dangerous"),
        ("$import torch; os.system('id')", "dangerous"),
        ("$import os as torch", "dangerous"),
        ("$import torch as numpy", "dangerous"),
        ("$from torch import os", "dangerous"),
        ("$__import__('os').system('id')", "dangerous"),
        ("$f\"{__import__('os').system('id')}\"", "dangerous"),
        ("$f'{1:{__import__(\"os\").getpid()}}'", "dangerous"),
        ("$[1 for x in [eval('1')]]", "dangerous"),
        ("$[eval for eval in []] or eval('1')", "dangerous"),
        ("$[torch for torch in []] or torch.os", "dangerous"),
        ("$(1).__class__.__base__.__subclasses__()", "dangerous"),
        ("$''.__class__", "dangerous"),
        ("$@x.__init__.__globals__", "dangerous"),
        ("$torch.os.system('id')", "dangerous"),
        ("$monai.utils.module.optional_import('os')", "dangerous"),
        ("$torch.hub.load('a', 'b')", "dangerous"),
        ("$torch.load(@weights)", "dangerous"),
        ("$open('x', 'w')", "dangerous"),
        ("$getattr(@x, 'y')", "dangerous"),
        ("$__local_refs", "dangerous"),
        ("$(lambda: exec('1'))()", "dangerous"),
        ("$ｅｖａｌ('1')", "dangerous"),
        ("$tоrch.device('cpu')", "dangerous"),  # a Cyrillic о
        ("$1 +", "unreadable"),
        ("$x = 1", "unreadable"),
        ("$" + "(" * 500, "unreadable"),
        ("$" + "1+" * 20_000, "unreadable"),
        ("$a\0b", "unreadable"),
    ],
)
def test_an_expression_is_of_its_worst_part(text: str, category: str) -> None:
    assert expression_verdict(text, "a#b").category == category


@pytest.mark.parametrize(
    ("target", "category"),
    [
        ("mammo_monai.networks.retinanet_network", "known"),
        ("mammo_monai.networks.classifiers.patch_network", "known"),
        ("monai.transforms.Resized", "known"),
        ("monai.transforms.LoadImaged", "unknown"),
        ("torch.nn.Conv2d", "known"),
        ("ignite.engine.Events.EPOCH_COMPLETED", "known"),
        ("EarlyStopHandler", "known"),
        ("TensorBoardStatsHandler", "unknown"),
        ("dict", "value"),
        ("mammo_monai.networks.save_weights", "unknown"),
        ("mammo_monai.files.write_text_atomic", "unknown"),
        ("mammo_monai.cli.main.main", "unknown"),
        ("mammo_monai.networks.weights.initialise", "unknown"),
        ("monai.bundle.run", "unknown"),
        ("monai.data.PersistentDataset", "unknown"),
        ("CheckpointLoader", "unknown"),
        ("Unheard", "unknown"),
        ("scripts.net.Net", "unknown"),
        ("", "unknown"),
        ("os.system", "dangerous"),
        ("..os..system", "dangerous"),
        ("builtins.eval", "dangerous"),
        ("eval", "dangerous"),
        ("monai.bundle.ConfigParser", "dangerous"),
        ("monai.utils.misc.run_cmd", "dangerous"),
        ("torch.os.system", "dangerous"),
        ("monai.transforms.LoadImaged.__init__", "dangerous"),
        ("mоnai.data.Dataset", "dangerous"),
    ],
)
def test_a_target_is_known_or_told(target: str, category: str) -> None:
    assert target_verdict(target).category == category


@pytest.mark.parametrize(
    ("content", "id", "kind", "category"),
    [
        ({"a": [[{"b": ["$exec('1')"]}]]}, "a#0#0#b#0", "expression", "dangerous"),
        ({"network_def#_target_": "os.system"}, "network_def#_target_", "target", "dangerous"),
        ({"+network_def::_target_": "os.system"}, "network_def::_target_", "target", "dangerous"),
        ({"a": {"_target_": "@b"}, "b": "os.system"}, "a#_target_", "target", "unknown"),
        ({"a": {"_target_": "%b"}, "b": "os.system"}, "a#_target_", "target", "unknown"),
        ({"a": {"_target_": "$@b"}, "b": "os.system"}, "a#_target_", "target", "unknown"),
        ({"a": {"_target_": "$eval"}}, "a#_target_", "target", "dangerous"),
        ({"a": {"_target_": ["x"]}}, "a#_target_", "target", "unknown"),
        ({"a": {"_target_": "dict", "_mode_": "debug"}}, "a#_mode_", "mode", "dangerous"),
        ({"a": {"_target_": "dict", "_mode_": "@b"}}, "a#_mode_", "mode", "dangerous"),
        ({"a": {"_target_": "dict", "_mode_": "callable"}}, "a#_mode_", "mode", "value"),
        ({"a": {"_target_": "dict", "_debug_": True}}, "a#_debug_", "mode", "dangerous"),
        ({"a": {"_disabled_": "$eval('1')"}}, "a#_disabled_", "disabled", "dangerous"),
        ({"a": {"_requires_": ["$eval('1')"]}}, "a#_requires_#0", "requires", "dangerous"),
        ({"a": {"_requires_": "@b"}}, "a#_requires_", "requires", "value"),
        ({"imports": ["$import os"]}, "imports#0", "import", "dangerous"),
        ({"a": "%b#c"}, "a", "macro", "value"),
        ({"a": "%/etc/other.json#c"}, "a", "macro", "unknown"),
        ({"a": "%Other.YAML::c"}, "a", "macro", "unknown"),
        ({"a": "/etc/passwd"}, "a", "path", "unknown"),
        ({"a": "../../x"}, "a", "path", "unknown"),
        ({"x'] + eval('1') + ['": {"a": 1}}, "x'] + eval('1') + ['", "key", "dangerous"),
    ],
)
def test_what_a_configuration_hides_is_found(
    tmp_path: Path, content: object, id: str, kind: str, category: str
) -> None:
    found = [(each.id, each.kind, each.category) for each in codes(tmp_path, content)]
    assert (id, kind, category) in found


def test_a_key_cannot_smuggle_code_into_a_relative_id() -> None:
    # MONAI writes the keys above into "@::y": this one would be `@x + eval('1') + @z::y`.
    assert expression_verdict("$@::y", "x + eval('1') + @z::a").category == "dangerous"
    assert expression_verdict("$@::::::y", "a::b").category == "unreadable"


def test_both_of_two_equal_keys_are_read(tmp_path: Path) -> None:
    found = codes(tmp_path, '{"a": "$eval(1)", "a": 1, "\\u0062": "\\u0024exec(1)"}')
    assert [(each.id, each.category) for each in found] == [("a", "dangerous"), ("b", "dangerous")]


def test_every_json_and_yaml_file_is_read_and_metadata_too(tmp_path: Path) -> None:
    codes(tmp_path, {"version": "$eval('1')", "data_source": "https://x.org"}, "configs/metadata.json")
    codes(tmp_path, {"x": "$eval('1')"}, "docs/deep/other.JSON")
    codes(tmp_path, {"x": "$eval('1')"}, "pack.json")
    found = codes(tmp_path, "a: [1, {b: $eval('1')}]\n---\nc: $exec('1')\n", "configs/extra.yaml")
    assert [(each.file, each.id) for each in found] == [
        ("configs/extra.yaml", "a#1#b"),
        ("configs/extra.yaml", "c"),
        ("configs/metadata.json", "version"),
        ("docs/deep/other.JSON", "x"),
        ("pack.json", "x"),
    ]
    assert {each.category for each in found} == {"dangerous"}


YAML = """
base: &base {_target_: os.system, command: id}
copy: {<<: *base}
again: *base
made: !!python/object/apply:os.system [id]
odd: !mine 3
"""


def test_yaml_is_read_as_text_tags_are_told_and_obeyed_by_nobody(tmp_path: Path) -> None:
    found = [(each.id, each.kind, each.category) for each in codes(tmp_path, YAML, "configs/extra.yml")]
    assert ("base#_target_", "target", "dangerous") in found
    assert ("made", "tag", "dangerous") in found
    assert ("odd", "tag", "dangerous") in found


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    bomb = "a: &a [x,x]\n" + "".join(
        f"{n}: &{n} [*{p},*{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert [each for each in codes(tmp_path, bomb, "configs/aliases.yaml") if not each.is_safe] == []
    loop = "a: &a [*a, $eval('1')]"
    assert [each.category for each in codes(tmp_path, loop, "configs/aliases.yaml")] == ["dangerous"]
    for name, content in {
        "configs/broken.json": "{",
        "configs/deep.json": "[" * 100_000,
        "configs/nested.json": '{"a":' * 300 + "1" + "}" * 300,
        "configs/broken.yaml": "a: [",
        "configs/broken.conf": "[handler\nargs",
    }.items():
        (found,) = [each for each in codes(tmp_path, content, name) if each.file == name]
        assert (found.kind, found.category) == ("file", "unreadable")
    (tmp_path / "b" / "configs" / "latin.json").write_bytes(b'{"a": "\xff"}')
    assert [each.category for each in inspect_bundle(tmp_path / "b").codes if "latin" in each.file] == [
        "unreadable"
    ]


@pytest.mark.parametrize(
    ("field", "value", "category"),
    [
        ("class", "StreamHandler", "known"),
        ("class", "logging.NullHandler", "known"),
        ("class", "FileHandler", "unknown"),
        ("class", "handlers.HTTPHandler", "unknown"),
        ("class", "eval", "dangerous"),
        ("class", "scripts.net.Handler", "dangerous"),
        ("class", "(", "unreadable"),
        ("args", "(sys.stderr,)", "value"),
        ("args", "('a', {'b': [1]})", "value"),
        ("args", "(__import__('os').system('id'),)", "dangerous"),
        ("args", "(os.environ,)", "dangerous"),
        ("args", "(sys.modules['os'],)", "dangerous"),
        ("args", "[x for x in ()]", "dangerous"),
        ("kwargs", "{'a': %(b)s}", "dangerous"),
    ],
)
def test_logging_files_are_code(tmp_path: Path, field: str, value: str, category: str) -> None:
    (found,) = codes(tmp_path, f"[handler_x]\nlevel=INFO\n{field}={value}\n", "configs/logging.conf")
    assert (found.id, found.kind, found.category) == (f"handler_x#{field}", "logging", category)
    assert logging_codes("x", "[loggers]\nkeys=root\n") == []


LARGE = {"url": "https://x.org/w.pt", "path": "models/w.pt", "hash_val": "a" * 64, "hash_type": "sha256"}


@pytest.mark.parametrize(
    ("change", "category"),
    [
        ({}, "not run"),
        ({"hash_val": ""}, "unknown"),
        ({"hash_type": "md5"}, "unknown"),
        ({"url": "http://x.org/w.pt"}, "unknown"),
        ({"path": "../../w.pt"}, "dangerous"),
    ],
)
def test_downloads_are_told(tmp_path: Path, change: dict[str, str], category: str) -> None:
    (found,) = codes(tmp_path, {"large_files": [{**LARGE, **change}]}, "large_files.yml")
    assert (found.id, found.kind, found.category) == ("large_files#0#url", "download", category)


def test_files_of_code_pickles_and_links_are_told(tmp_path: Path) -> None:
    codes(tmp_path, {})
    bundle = tmp_path / "b"
    for name in (
        "torch.py",
        "models/x.pkl",
        "wheel/mammo_monai-0.1.0.whl",
        "wheel/other-1.whl",
        "docs/x.txt",
    ):
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).write_bytes(b"raise SystemExit")
    torch.save({"a": torch.ones(1)}, bundle / "models" / "good.pt")
    (bundle / "models" / "bad.pt").write_bytes(b"cos\nsystem\n(S'id'\ntR.")
    (bundle / "link.json").symlink_to("/etc/hostname")
    found = {each.file: (each.kind, each.category) for each in inspect_bundle(bundle).codes}
    assert found == {
        "torch.py": ("script", "dangerous"),
        "models/x.pkl": ("file", "unknown"),
        "models/good.pt": ("weights", "known"),
        "models/bad.pt": ("weights", "dangerous"),
        "wheel/mammo_monai-0.1.0.whl": ("wheel", "not run"),
        "wheel/other-1.whl": ("wheel", "unknown"),
        "link.json": ("link", "unknown"),
    }


def test_nothing_of_the_bundle_is_run_and_a_zip_is_read_as_it_is(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    trap = f"open({str(sprung)!r}, 'w')"
    files = {
        "b/configs/train.json": json.dumps({"a": f"${trap}", "b": {"_target_": "scripts.trap.x"}}).encode(),
        "b/configs/logging.conf": f"[handler_x]\nclass={trap}\nargs=({trap},)\n".encode(),
        "b/scripts/__init__.py": trap.encode(),
        "b/scripts/trap.py": trap.encode(),
    }
    found = inspect_bundle(zipped(tmp_path / "trap.zip", files))
    assert found.bundle == "b"
    assert len(found.outside) == len(found.codes) == 6
    assert found.as_json()["is_safe"] is False
    assert not sprung.exists()


DANGERS = ("__import__('os')", "eval('1')", "torch.os", "(1).__class__", "open('x')", "subprocess.run('id')")
WRAPS: tuple[Callable[[str], str], ...] = (
    lambda code: f"[{code}]",
    lambda code: f"(1, {code})",
    lambda code: f"{{'a': {code}}}",
    lambda code: f"({code} if @a else 1)",
    lambda code: f"len({code})",
    lambda code: f"(@b + {code})",
    lambda code: f"@x['a'][{code}]",
    lambda code: f"[y for y in [{code}] if y]",
    lambda code: f"torch.device({code})",
    lambda code: f"not {code}",
    lambda code: f"@m.run(**{{'a': {code}}})",
    lambda code: f"''.join({code})",
)


@given(
    st.sampled_from(DANGERS),
    st.lists(st.sampled_from(WRAPS), max_size=5),
    st.lists(st.integers(0, 2), max_size=6),
)
def test_wrapping_hides_nothing(danger: str, wraps: list[Callable[[str], str]], nesting: list[int]) -> None:
    code = danger
    for wrap in wraps:
        code = wrap(code)
    content: Any = f"${code}"
    for kind in nesting:
        content = [{"a": content}, [1, content], {"b": [content], "c": 2}][kind]
    entries = json_entries(json.dumps({"top": content}))
    texts = [each for each in entries if isinstance(each, Entry) and str(each.value).startswith("$")]
    assert len(texts) == 1
    assert expression_verdict(str(texts[0].value), texts[0].id).category == "dangerous"


@given(st.text(max_size=60), st.text(max_size=12))
def test_any_text_gets_a_verdict(text: str, id: str) -> None:
    verdict = expression_verdict(f"${text}", id)
    if verdict.category in SAFE and text.isidentifier():
        assert text in dir(builtins)
    assert target_verdict(text).category
    assert isinstance(leads_outside(text), bool)


def test_a_long_sum_is_looked_at_once_and_all_of_it() -> None:
    """As its own thousand sums it took seconds; a stranger's file may hold hundreds."""
    nodes = list(ast.walk(ast.parse("+".join(["'a'"] * 800), mode="eval")))
    (left,) = [each for each in without_inner_sums(nodes) if isinstance(each, ast.BinOp)]
    assert len(pieces(left)) == 800
    hidden = "$" + "+".join([*["'a'"] * 400, "chr(46)", *["'b'"] * 400])
    assert expression_verdict(hidden, "path").category not in SAFE
    assert expression_verdict("$" + "+".join(["'a'"] * 800), "path").category in SAFE


def test_a_product_of_hundreds_is_refused_unweighed() -> None:
    assert expression_verdict("$" + "*".join(["1"] * 50), "n").category in SAFE
    assert expression_verdict("$" + "*".join(["1"] * 500), "n").category == "dangerous"


@given(st.text(max_size=80))
def test_any_text_is_entries_or_no_file(text: str) -> None:
    for read in (json_entries, yaml_entries):
        try:
            found = read(text)
        except ValueError:
            continue
        assert all(isinstance(each, Entry | OddKey) for each in found)
