"""The list of what a configuration may call without a person reading it first; everything else is told."""

from __future__ import annotations

import builtins
import json
import re
import sys
from functools import cache
from importlib import import_module, resources

from mammo_monai.bundle.inspection.code import Verdict

# All classes of these packages build layers, optimizers and loaders of what they are given.
_CLASSES_OF = frozenset({"torch.nn", "torch.optim", "torch.optim.lr_scheduler", "torch.utils.data"})
# Of MONAI and ignite only classes in whose source a scan for such calls found none: many others unpickle,
# fetch weights or code, write where they are told, or look up a function by a string, as
# `LoadImage(reader="os.system")` does. What the classes on the list call in turn was not followed.
_LIST = "known_classes.json"
_DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "bool")
_TENSOR_MATH = (
    "tensor",
    "as_tensor",
    "zeros",
    "ones",
    "softmax",
    "sigmoid",
    "argmax",
    "mean",
    "sum",
    "stack",
)
_FUNCTIONS = frozenset(
    {
        *(f"torch.{name}" for name in (*_DTYPES, *_TENSOR_MATH, "bfloat16", "long", "float", "cat")),
        *(f"numpy.{name}" for name in (*_DTYPES, "array", "asarray", "pi", "prod", "arange", "sqrt")),
        *("torch.cuda.is_available", "torch.cuda.device_count", "torch.backends.mps.is_available"),
        *("torch.nn.functional.softmax", "torch.nn.functional.sigmoid"),
        *("monai.utils.set_determinism", "monai.data.list_data_collate", "monai.data.no_collation"),
        *("monai.data.decollate_batch", "monai.data.load_decathlon_datalist", "monai.handlers.from_engine"),
        *(f"mammo_monai.bundle.{name}" for name in ("initialised_network", "model_description")),
        *("mammo_monai.bundle.training_lineage", "mammo_monai.inference.write_dense_head"),
        *(f"mammo_monai.metrics.{name}" for name in ("FrocRule", "score_files", "score_classes")),
    }
)
_DEVICES = frozenset({"torch.device", "torch.cuda.is_available", "torch.cuda.device_count"})
_OWN = frozenset(
    f"mammo_monai.{name}"
    for name in ("data", "engines", "inference", "networks", "networks.classifiers", "transforms")
)
# Of this package's own functions those that write files where a configuration tells them to.
_WRITES = re.compile(r"(save|write|convert|export|prepare|crop|run|fit)_?\w*")
_PACKAGES = ("mammo_monai", "monai", "torch", "numpy", "ignite")
_DANGEROUS = frozenset(
    [
        "os",
        "sys",
        "subprocess",
        "shutil",
        "importlib",
        "builtins",
        "ctypes",
        "socket",
        "pickle",
        "marshal",
        "shelve",
        "pdb",
        "code",
        "codeop",
        "runpy",
        "pty",
        "signal",
        "threading",
        "multiprocessing",
        "asyncio",
        "urllib",
        "requests",
        "http",
        "ftplib",
        "smtplib",
        "tempfile",
        "pathlib",
        "glob",
        "io",
        "inspect",
        "gc",
        "types",
        "operator",
        "site",
        "sysconfig",
        "platform",
        "webbrowser",
        "posix",
        "nt",
        "resource",
        "fcntl",
        "mmap",
        "sqlite3",
        "zipimport",
        "pkgutil",
        "eval",
        "exec",
        "compile",
        "open",
        "input",
        "breakpoint",
        "globals",
        "locals",
        "vars",
        "getattr",
        "setattr",
        "delattr",
        "help",
        "exit",
        "quit",
        "system",
        "popen",
        "spawn",
        "fork",
        "kill",
        "remove",
        "unlink",
        "rmtree",
        "rename",
        "chmod",
        "walk",
        "listdir",
        "environ",
        "getenv",
        "putenv",
        "load",
        "loads",
        "load_library",
        "hub",
        "cpp_extension",
        "optional_import",
        "load_submodules",
        "run_cmd",
        "run_bundle",
        "locate",
        "instantiate",
        "download",
        "download_url",
        "download_and_extract",
        "import_module",
        "Popen",
        "check_output",
        "call",
        "run_eval",
        "func_globals",
        "ConfigParser",
        "ConfigExpression",
        "ConfigWorkflow",
        "f2py",
        "ctypeslib",
        "distutils",
        "savez",
        "save",
        "dump",
    ]
)
# What every expression of MONAI finds by these names; a loop may not give them another meaning.
RESERVED = frozenset({*dir(builtins), *_PACKAGES, "np", "math"})
BUILTINS = frozenset(
    [
        "len",
        "min",
        "max",
        "int",
        "float",
        "str",
        "bool",
        "abs",
        "sum",
        "round",
        "range",
        "sorted",
        "list",
        "dict",
        "tuple",
        "set",
        "frozenset",
        "zip",
        "enumerate",
        "any",
        "all",
        "reversed",
        "True",
        "False",
        "None",
    ]
)


def target_verdict(target: str) -> Verdict:
    """What a `_target_` names: a dotted path, or a bare name that MONAI looks up among its own.

    >>> target_verdict("mammo_monai.networks.retinanet_network").category
    'known'
    >>> target_verdict("torch.os.system").category
    'dangerous'
    """
    if not target.isascii():
        return Verdict("dangerous", "letters that look like others: compare character by character")
    if "." in target:
        return name_verdict(target)
    if _is_component(target):
        return Verdict("known", "a component of MONAI")
    # Python's builtins are found as well, after MONAI's names.
    if target in BUILTINS:
        return Verdict("value", "a builtin type")
    return name_verdict(target)


def name_verdict(dotted: str) -> Verdict:
    """What a dotted name reaches, without importing anything that is not installed and known."""
    if not dotted.isascii():
        return Verdict("dangerous", "letters that look like others: compare character by character")
    parts = dotted.split(".")
    if parts[0] == "np":
        parts[0] = "numpy"
    dotted = ".".join(parts)
    if dotted in _DEVICES:
        return Verdict("device", "which device computes")
    if is_known(dotted):
        return Verdict("known", f"on the list of {parts[0]}")
    if bad := sorted({part for part in parts if part in _DANGEROUS or part.startswith("_")}):
        return Verdict("dangerous", f"reaches {', '.join(bad)}")
    if parts[0] in _PACKAGES:
        return Verdict("unknown", f"in {parts[0]}, but not on the list of what is safe")
    what = "a package" if len(parts) > 1 else "a name"
    return Verdict("unknown", f"{parts[0]} is {what} that is not on the list")


def is_known(dotted: str) -> bool:
    """Whether a full name is on the list."""
    package, _, name = dotted.rpartition(".")
    if dotted in _FUNCTIONS or dotted in _DEVICES:
        return True
    if package in _OWN:
        return name in _public(package) and (name[0].isupper() or not _WRITES.fullmatch(name))
    # Members of the one class that conventions read: Events.EPOCH_COMPLETED.
    if package == "ignite.engine.Events":
        return name.isupper()
    if package in _CLASSES_OF:
        return _is_class_name(name)
    return name in listed_classes().get(package, ())


def is_dangerous(name: str) -> bool:
    """Whether a single name, of a variable or an attribute, reaches beyond values."""
    return name in _DANGEROUS or name.startswith("_") or name.endswith("__")


@cache
def listed_classes() -> dict[str, frozenset[str]]:
    """Names of the classes of MONAI and ignite that a configuration may build, by package."""
    text = resources.files("mammo_monai.bundle.inspection").joinpath(_LIST).read_text("utf-8")
    return {package: frozenset(names) for package, names in json.loads(text).items()}


def _is_class_name(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Z][A-Za-z0-9_]*", name))


@cache
def _public(package: str) -> frozenset[str]:
    return frozenset(import_module(package).__all__)


@cache
def _is_component(name: str) -> bool:
    """Whether everything that MONAI may find under a bare name is a class on the list.

    MONAI takes the first of all classes and functions of that name in any loaded module of its own.
    """
    listed = [package for package, names in listed_classes().items() if name in names]
    packages = [each for each in listed if each.startswith("monai.")]
    known = [getattr(import_module(each), name, None) for each in packages]
    modules = [module for key, module in list(sys.modules.items()) if key.startswith("monai") and module]
    found = [vars(module)[name] for module in modules if name in vars(module)]
    return bool(known) and all(any(each is other for other in known) for each in found)
