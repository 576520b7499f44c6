"""Lists everything in a bundle that a run would evaluate, import or fetch, before anything runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from monai.bundle import ConfigParser

from mammo_monai.bundle.find import find_bundle
from mammo_monai.bundle.inspection.code import SAFE, Code, Kind, Verdict
from mammo_monai.bundle.inspection.config_entries import Entry, OddKey, json_entries, yaml_entries
from mammo_monai.bundle.inspection.copies import Copies
from mammo_monai.bundle.inspection.downloads import download_codes
from mammo_monai.bundle.inspection.expressions import expression_verdict, is_import, leads_outside
from mammo_monai.bundle.inspection.known_names import target_verdict
from mammo_monai.bundle.inspection.logging_entries import logging_codes
from mammo_monai.bundle.inspection.written_places import WrittenPlaces
from mammo_monai.bundle.packing.bundle_files import BundleFiles, open_bundle, read_bytes
from mammo_monai.bundle.packing.contents import CODE, WHEEL_FOLDER
from mammo_monai.bundle.packing.exported_faults import EXPORTED, exported_faults
from mammo_monai.bundle.packing.record import RECORD
from mammo_monai.bundle.packing.weight_faults import PICKLES, pickle_faults
from mammo_monai.bundle.published import METADATA
from mammo_monai.errors import BundleError
from mammo_monai.inference.operating_point import OPERATING_POINTS
from mammo_monai.inference.training_look import STATISTICS

_MAX_BYTES = 16_000_000
_CONFIGS = (".json", ".yaml", ".yml")
_INI = (".conf", ".ini", ".cfg")
_UNPICKLED = (
    ".pkl",
    ".pickle",
    ".joblib",
    ".npy",
    ".npz",
    ".ckpt",
    ".bin",
    ".ts",
    ".jit",
    ".pt2",
    ".zip",
    ".tar",
    ".gz",
)
_KINDS: dict[str, Kind] = {"_requires_": "requires", "_disabled_": "disabled", "_mode_": "mode"}
# What metadata and figures say is shown to people; no run opens a path from there.
_TEXTS = (METADATA, OPERATING_POINTS, STATISTICS, RECORD)


@dataclass(frozen=True)
class Inspection:
    """What was found, in the order of files and ids."""

    bundle: str
    codes: tuple[Code, ...]

    @property
    def outside(self) -> tuple[Code, ...]:
        """What is not on the list of what is safe: a person must read it before the bundle is run."""
        return tuple(each for each in self.codes if not each.is_safe)

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each category."""
        return dict(sorted(Counter(each.category for each in self.codes).items()))

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        codes = [{**asdict(each), "is_safe": each.is_safe} for each in self.codes]
        return {"bundle": self.bundle, "is_safe": not self.outside, "counts": self.counts, "code": codes}


class _Whole:
    """What tells of an entry only together with the others of all configurations."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        there = list(entries)
        self._places, self._copies = WrittenPlaces(there), Copies(there)

    def verdict(self, entry: Entry) -> Verdict | None:
        """What is wrong with an entry among the others; None where nothing is."""
        return self._places.verdict(entry) or self._copies.verdict(entry)


def inspect_bundle(bundle: str | Path) -> Inspection:
    """Reads every configuration of a bundle as text; imports and evaluates nothing of it.

    Listed are `$` expressions, `_target_` names, imports, `_requires_`, `_disabled_`, `_mode_`, macros, the
    classes and arguments in logging.conf, downloads, files of code and pickles. What is on no list of known
    things is outside: the check cannot say that it is harmful, nor that it is not.

    Args:
        bundle: a zip, a folder, or a name, see `find_bundle`.

    Raises:
        BundleError: no such bundle, or a zip that must not be unpacked.
    """
    path = Path(bundle)
    with open_bundle(path if path.exists() else find_bundle(bundle)) as files:
        return inspect_files(files)


def inspect_files(files: BundleFiles, *, is_run_here: bool = False) -> Inspection:
    """As `inspect_bundle`, of files that are open.

    Args:
        is_run_here: leaves out what our own runs evaluate nothing of: weights (whoever reads them reads
            tensors only, and refuses others then), texts outside of `configs/`.
    """
    whole = _Whole(_configured(files))
    names = [name for name in sorted(files.sizes) if not (is_run_here and _is_left_alone(name))]
    codes = [code for name in names for code in _file_codes(files, name, whole)]
    codes += [_whole(name, "link", Verdict("unknown", "leads to another place")) for name in files.links]
    return Inspection(files.name, tuple(codes))


def inspect_values(values: Mapping[str, object], name: str) -> Inspection:
    """As `inspect_bundle`, of values that another file sets in a configuration; paths pass.

    Args:
        values: ids (`a#b`) and values, as JSON holds them. name: of that file.

    Raises:
        BundleError: a value that JSON cannot hold.
    """
    try:
        entries = json_entries(json.dumps(dict(values)))
    except (TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"{name}: an override is no JSON value: {error}.") from error
    codes = [
        _odd(name, each) if isinstance(each, OddKey) else _entry_code(name, each, _Whole(()))
        for each in entries
    ]
    return Inspection(name, tuple(each for each in codes if each is not None and each.kind != "path"))


def _is_left_alone(name: str) -> bool:
    is_text = name.lower().endswith((*_CONFIGS, *_INI)) and "/" in name and not name.startswith("configs/")
    return is_text or name.lower().endswith(PICKLES) or bool(EXPORTED.fullmatch(name))


def _configured(files: BundleFiles) -> Iterator[Entry]:
    """Entries of all configurations; those of files that cannot be read are told elsewhere."""
    for name in files.sizes:
        suffix = PurePosixPath(name.lower()).suffix
        if name.startswith("configs/") and suffix in _CONFIGS and name not in _TEXTS:
            try:
                found = _entries_of(_text(files, name), suffix)
            except (ValueError, BundleError):
                continue
            yield from (each for each in found if isinstance(each, Entry))


def _file_codes(files: BundleFiles, name: str, whole: _Whole) -> Iterator[Code]:
    suffix = PurePosixPath(name.lower()).suffix
    try:
        if suffix in _CONFIGS:
            yield from _config_codes(name, _entries_of(_text(files, name), suffix), whole)
        elif suffix in _INI:
            yield from logging_codes(name, _text(files, name))
        elif suffix in PICKLES:
            yield _pickle(files, name)
    except (ValueError, BundleError) as error:
        yield _whole(name, "file", Verdict("unreadable", str(error)))
    if suffix in CODE:
        # A run puts the bundle's folder first in the search for modules: even an unused file can shadow one.
        yield _whole(name, "script", Verdict("dangerous", "Python that a run can import"))
    elif EXPORTED.fullmatch(name):
        yield _exported(files, name)
    elif suffix in _UNPICKLED:
        yield _whole(name, "file", Verdict("unknown", "may hold pickled objects or code"))
    elif suffix == ".whl":
        is_own = name.startswith(f"{WHEEL_FOLDER}/mammo_monai-")
        verdict = Verdict("not run", "only installed by hand: compare its hash first")
        yield _whole(name, "wheel", verdict if is_own else Verdict("unknown", "a package of its own"))


def _text(files: BundleFiles, name: str) -> str:
    return read_bytes(files, name, _MAX_BYTES).decode("utf-8-sig")


def _entries_of(text: str, suffix: str) -> list[Entry | OddKey]:
    return json_entries(text) if suffix == ".json" else yaml_entries(text)


def _config_codes(name: str, entries: list[Entry | OddKey], whole: _Whole) -> Iterator[Code]:
    if _is_large_files(name):
        yield from download_codes(name, [each for each in entries if isinstance(each, Entry)])
    for entry in entries:
        if isinstance(entry, OddKey):
            if name != "pack.json":
                yield _odd(name, entry)
        elif code := _entry_code(name, entry, whole):
            yield code


def _odd(name: str, entry: OddKey) -> Code:
    if entry.is_tag:
        return Code(name, entry.id.strip("#"), "tag", entry.text, "dangerous", "asks YAML to build an object")
    reason = "a key that could become code in a relative id"
    return Code(name, entry.id, "key", entry.text, "dangerous", reason)


def _entry_code(name: str, entry: Entry, whole: _Whole) -> Code | None:
    """The code an entry stands for; None for a plain value."""
    value, kind = entry.value, _KINDS.get(entry.key)
    text = value if isinstance(value, str) else ""
    if entry.key == "_target_":
        found: tuple[Kind, Verdict] | None = ("target", _target(value))
    elif entry.key == "_debug_":
        found = ("mode", Verdict("dangerous", "stops in a debugger"))
    elif text.startswith("$"):
        found = (kind or ("import" if is_import(text) else "expression"), expression_verdict(text, entry.id))
    elif text.startswith("%"):
        found = ("macro", _macro(name, text, entry.id))
    elif entry.key == "_mode_":
        found = ("mode", _mode(text))
    elif kind and text:
        found = (kind, Verdict("value", "an id, or plain text"))
    else:
        found = _path(name, text)
    is_run = name.startswith("configs/") and name not in _TEXTS
    among_others = whole.verdict(entry) if is_run else None
    if among_others is not None and (found is None or found[1].category in SAFE):
        found = ("path" if found is None else found[0], among_others)
    return None if found is None else _code(name, entry, *found)


def _path(name: str, text: str) -> tuple[Kind, Verdict] | None:
    # `download_codes` says it of large_files.
    if name in _TEXTS or _is_large_files(name) or not leads_outside(text):
        return None
    return "path", Verdict("unknown", "a path or address out of the bundle")


def _target(value: object) -> Verdict:
    if not isinstance(value, str):
        return Verdict("unknown", "no name, but a value that is called")
    if value.startswith(("$", "@", "%")):
        inner = expression_verdict(value, "") if value.startswith("$") else Verdict("unknown", "")
        if inner.category in ("dangerous", "unreadable"):
            return inner
        return Verdict("unknown", "computed: what it calls is not told by the text")
    return target_verdict(value)


def _mode(text: str) -> Verdict:
    if text == "default":
        return Verdict("value", "calls its target")
    if text == "callable":
        return Verdict("value", "gives its target to others to call")
    return Verdict("dangerous", "calls its target in a debugger, or computes how")


def _macro(name: str, text: str, id: str) -> Verdict:
    if name in _TEXTS:
        return Verdict("unknown", "a copy, in a text for people")
    # Split as a run splits it, which takes `%a.json` with a line's end, and `%a::b.json`, for files.
    whole = ConfigParser.resolve_relative_ids(id.replace("#", "::"), text)
    if any(ConfigParser.split_path_id(each[1:])[0] for each in (whole, text)):
        return Verdict("unknown", "text of another file, found from the working directory")
    return Verdict("value", "a copy of another id")


def _pickle(files: BundleFiles, name: str) -> Code:
    faults = pickle_faults(files, name)
    verdict = Verdict("dangerous", faults[0]) if faults else Verdict("known", "a pickle with tensors only")
    return _whole(name, "weights", verdict)


def _exported(files: BundleFiles, name: str) -> Code:
    """A network for an engine: read as data by ONNX Runtime or OpenVINO, if it is what its record says."""
    faults = exported_faults(files)
    verdict = Verdict("unknown", faults[0]) if faults else Verdict("known", "a network, read as data")
    return _whole(name, "weights", verdict)


def _code(name: str, entry: Entry, kind: Kind, verdict: Verdict) -> Code:
    text = entry.value if isinstance(entry.value, str) else repr(entry.value)
    return Code(name, entry.id, kind, text, verdict.category, verdict.reason)


def _is_large_files(name: str) -> bool:
    return PurePosixPath(name).name.lower().startswith("large_files")


def _whole(name: str, kind: Kind, verdict: Verdict) -> Code:
    return Code(name, "", kind, PurePosixPath(name).name, verdict.category, verdict.reason)
