"""What a large_files file would fetch: from where, to where, and whether its hash is told."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mammo_monai.bundle.inspection.code import Code, Verdict
from mammo_monai.bundle.inspection.config_entries import Entry
from mammo_monai.bundle.packing.safe_names import name_fault


def download_codes(file: str, entries: Sequence[Entry]) -> list[Code]:
    """One item per download; safe are those over https, with a SHA-256, into the bundle."""
    items: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        above, _, key = entry.id.rpartition("#")
        items.setdefault(above, {})[key] = entry
    return [_code(file, above, item) for above, item in items.items() if {"url", "path"} & item.keys()]


def _code(file: str, above: str, item: dict[str, Entry]) -> Code:
    texts = {key: str(entry.value) for key, entry in item.items()}
    url = texts.get("url", "")
    verdict = _verdict(texts, url)
    return Code(file, f"{above}#url", "download", url, verdict.category, verdict.reason)


def _verdict(texts: dict[str, str], url: str) -> Verdict:
    if fault := name_fault(texts.get("path", "")):
        return Verdict("dangerous", f"its path {fault}")
    if not url.startswith("https://"):
        return Verdict("unknown", "not over https")
    if texts.get("hash_type", "").lower() != "sha256" or not re.fullmatch(
        r"[0-9a-fA-F]{64}", texts.get("hash_val", "")
    ):
        return Verdict("unknown", "without a SHA-256: whatever comes is taken")
    return Verdict("not run", f"fetched by hand into {texts['path']}, and compared with its SHA-256")
