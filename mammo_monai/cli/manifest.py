"""`mammo-monai manifest`: reads a data set as downloaded, writes manifest.json, audit.csv and audit.html."""

from __future__ import annotations

import argparse
from typing import Any

from mammo_monai.cli import manifest_check, manifest_layouts
from mammo_monai.cli.outputs import refuse_overwriting
from mammo_monai.errors import MammoError


def add_parser(subparsers: Any) -> None:
    """Adds the verb with one command per layout, and `check`."""
    verb = subparsers.add_parser("manifest", help="make a manifest of a data set, or check one")
    commands = verb.add_subparsers(dest="layout", metavar="LAYOUT", required=True)
    manifest_layouts.add_parsers(commands)
    manifest_check.add_parser(commands)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the manifest, prints what its lists hold; 1 if something was left out or is doubtful."""
    if args.layout == "check":
        return manifest_check.run(args)
    refuse_overwriting(args.output, (args.root, vars(args).get("annotations"), args.folds))
    from mammo_monai import readers
    from mammo_monai.cli.progress_bar import counting_bar
    from mammo_monai.locks import only_writer
    from mammo_monai.reports.audit.counts import list_table, published_table
    from mammo_monai.schema import Action, Manifest

    audit, plan = readers.Audit(strict=args.strict), manifest_layouts.plan_of(args)
    salt = readers.dataset_salt(args.root, args.output, like=args.same_ids_as)
    try:
        with counting_bar("reading") as on_progress:
            manifest = readers.read_dataset(plan, readers.Reading(salt, audit, args.workers, on_progress))
        with only_writer(args.output, patience_s=60.0):  # page, audit and manifest are of one run
            _write_page(args, manifest, audit)  # before the manifest: exit code 2 leaves none
            readers.save_manifest(args.output, manifest, audit)
    except MammoError:
        readers.save_audit(args.output, audit)  # what was found explains why there is no manifest
        _write_page(args, Manifest(quarantined=tuple(audit.quarantined)), audit, is_refused=True)
        raise
    print(list_table(manifest).as_text())
    if published := published_table(manifest):
        print(f"\n{published.caption}\n{published.as_text()}")
    counts = [sum(finding.action is action for finding in audit.findings) for action in Action]
    print(f"\nwrote {args.output}, and beside it audit.csv and audit.html")
    print(f"findings: {counts[0]} repaired, {counts[1]} left out, {counts[2]} to look at")
    return int(readers.needs_attention(audit.findings))


def _write_page(args: argparse.Namespace, manifest: Any, audit: Any, *, is_refused: bool = False) -> None:
    from mammo_monai.readers.codes import MEANINGS
    from mammo_monai.reports.audit.page import AuditPageOptions, write_audit_page

    title = f"Audit of {args.output.name} ({args.layout})"
    options = AuditPageOptions(title, MEANINGS, is_refused=is_refused)
    write_audit_page(args.output.with_name("audit.html"), manifest, audit.findings, options=options)
