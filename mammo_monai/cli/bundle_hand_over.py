"""`mammo-monai bundle pack|verify|inspect`: one file for another site, its check, and what it would run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mammo_monai.words import counted


def add_commands(verbs: Any) -> None:
    """Adds the three commands."""
    pack = verbs.add_parser("pack", help="one zip for another site, with the hash of every file")
    pack.add_argument("bundle", metavar="NAME|DIR", help="what is packed")
    pack.add_argument(
        "-o", "--output", type=Path, metavar="FILE.zip", help="the zip to write (NAME-VERSION.zip)"
    )
    text = "add this package's wheel and a requirements file: built, found in dist/, or FILE"
    pack.add_argument("--wheel", nargs="?", const=True, default=False, metavar="FILE", help=text)
    pack.set_defaults(run=run_pack)
    verify = verbs.add_parser("verify", help="whether a pack is as it was packed")
    verify.add_argument(
        "pack", type=Path, metavar="FILE.zip|DIR", help="a zip, or a folder it was unpacked into"
    )
    verify.add_argument("--sha256", metavar="HEX", help="expected of the zip; of pack.json for a folder")
    verify.add_argument("--signature", type=Path, metavar="FILE", help="of the pack (PACK.minisig beside it)")
    verify.add_argument("--public-key", metavar="KEY.pub", help="who must have signed it")
    verify.set_defaults(run=run_verify)
    inspect = verbs.add_parser("inspect", help="everything a bundle would run, told before anything runs")
    inspect.add_argument("bundle", metavar="FILE.zip|DIR|NAME", help="a pack, or a bundle's folder or name")
    inspect.add_argument("--json", action="store_true", help="print JSON instead of lines")
    inspect.set_defaults(run=run_inspect)


def run_pack(args: argparse.Namespace) -> int:
    """Prints the file, its hash, and what was left out with the reason."""
    from mammo_monai.bundle import pack_bundle

    wheel = Path(args.wheel) if isinstance(args.wheel, str) else args.wheel
    made = pack_bundle(args.bundle, args.output, wheel=wheel)
    print("".join(f"left out {name}: {reason}\n" for name, reason in made.left_out.items()), end="")
    size = f"{counted(len(made.record.files), 'file')}, {made.n_bytes / 1e6:.1f} MB"
    print(f"{made.path}: {made.record.bundle} {made.record.version}, {size}\nSHA-256 {made.sha256}")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Prints the faults, or the pack's name, hash and lineage; 2 if there are faults."""
    from mammo_monai.bundle import verify_pack
    from mammo_monai.cli.bundle_lines import verified_lines

    found = verify_pack(args.pack, sha256=args.sha256)
    print("\n".join(found.faults or verified_lines(found)))
    if args.signature or args.public_key:
        from mammo_monai.bundle.signing.packs import checked_pack

        signed = checked_pack(found, args.signature, args.public_key)
        print(f"signed with {signed.key.id}: {ascii(signed.comment)[1:-1]}")
    return 2 if found.faults else 0


def run_inspect(args: argparse.Namespace) -> int:
    """Prints what would run; 1 if something is not on the list of what is safe."""
    from mammo_monai.bundle import inspect_bundle
    from mammo_monai.cli.bundle_lines import inspection_lines

    found = inspect_bundle(args.bundle)
    print(json.dumps(found.as_json(), indent=1) if args.json else "\n".join(inspection_lines(found)))
    return 1 if found.outside else 0
