"""Executions whose inputs Atheris chooses: mutations are kept that reach code no input had reached.

Source: Atheris (libFuzzer for Python), https://github.com/google/atheris.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
from pathlib import Path

from tests.fuzz.mutations import MAX_INPUT_BYTES, mutated

# What parses strangers' bytes in Python; instrumenting more makes every execution slower.
INSTRUMENTED = (
    "mammo_monai",
    "pydicom.encaps",
    "pydicom.dataelem",
    "pydicom.filereader",
    "pydicom.fileutil",
    "pydicom.pixels",
    "pydicom.sequence",
    "pydicom.values",
)
_OWN_SHARE = 0.5
# The supervisor watches time, memory and signals; libFuzzer's own handlers would hide which signal it was.
_SIGNALS = ("abrt", "bus", "fpe", "ill", "int", "segv", "term", "xfsz")
_SETTINGS = (
    *("-rss_limit_mb=0", "-timeout=86400", "-detect_leaks=0", "-verbosity=0"),
    *(f"-handle_{name}=0" for name in _SIGNALS),
)


def is_available() -> bool:
    """Whether Atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def run_guided(options: argparse.Namespace, pipe: int) -> None:
    """Executes `options.count` inputs, then ends the process: libFuzzer never gives control back."""
    import atheris

    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        from tests.fuzz.judge import Judge
        from tests.fuzz.pool import Pool, coverage_folder, joined_inputs
        from tests.fuzz.targets import find_target

        target = find_target(options.target)
    folder: Path = options.folder
    found = coverage_folder(folder)
    found.mkdir(parents=True, exist_ok=True)
    inputs = [*Pool(target, folder, first=options.first).unchanged, *joined_inputs(folder)]
    beginnings = folder / "beginnings"
    beginnings.mkdir(exist_ok=True)
    for number, data in enumerate(inputs):
        (beginnings / f"{number:05d}").write_bytes(data)
    judge = Judge(target, folder, pipe, time_limit_s=options.time_limit)
    last = options.first + options.count
    index = options.first

    def execute_one(data: bytes) -> None:
        nonlocal index
        judge(index, data)
        index += 1
        if index >= last:
            os._exit(0)

    def mutate_one(data: bytes, max_size: int, seed: int) -> bytes:
        drawn = random.Random(seed)
        if drawn.random() >= _OWN_SHARE:
            return bytes(atheris.Mutate(data, max_size))
        return mutated(
            data,
            drawn,
            others=inputs,
            dictionary=target.dictionary,
            format_mutations=target.mutators,
        )[:max_size]

    # A worker that is started again after a crash must not walk into the same input again: the seed moves on.
    seed = (options.seed * 1_000_003 + options.first) % (1 << 31) or 1
    artifacts = f"-artifact_prefix={folder}/"
    arguments = [artifacts, f"-seed={seed}", f"-max_len={MAX_INPUT_BYTES}", "-len_control=0", *_SETTINGS]
    atheris.Setup(["fuzz", *arguments, str(found), str(beginnings)], execute_one, custom_mutator=mutate_one)
    atheris.Fuzz()
