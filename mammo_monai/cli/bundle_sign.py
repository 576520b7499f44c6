"""`mammo-monai bundle key new|sign`: a key of one's own, and the signature of a pack with it."""

from __future__ import annotations

import argparse
import getpass
import os
from pathlib import Path
from typing import Any

VARIABLE = "MAMMO_MONAI_PASSPHRASE"


def add_commands(verbs: Any) -> None:
    """Adds the two commands."""
    key = verbs.add_parser("key", help="make a key that signs packs")
    key.add_argument("what", choices=("new",), help="make one")
    add = key.add_argument
    add(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="the secret key to write; FILE.pub beside it goes to others",
    )
    key.set_defaults(run=run_key)
    sign = verbs.add_parser("sign", help="sign a pack, as minisign does")
    sign.add_argument("pack", type=Path, metavar="FILE.zip|DIR", help="made by `bundle pack`")
    text = "made by key new, or minisign -G"
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help=text)
    sign.set_defaults(run=run_sign)
    for each in (key, sign):
        text = f"first line of FILE (else the variable {VARIABLE}, else asked for)"
        each.add_argument("--passphrase-file", type=Path, metavar="FILE", help=text)


def run_key(args: argparse.Namespace) -> int:
    """Prints the public key and where both halves are."""
    from mammo_monai.bundle.signing import new_key
    from mammo_monai.bundle.signing.keys import public_path_of

    made = new_key(args.output, _passphrase(args.passphrase_file, is_new=True))
    print(f"{args.output}: keep it and its passphrase to yourself")
    print(f"{public_path_of(args.output)}: for others; tell them the key by another way as well")
    print(made.line())
    return 0


def run_sign(args: argparse.Namespace) -> int:
    """Prints where the signature is."""
    from mammo_monai.bundle.signing import read_secret_key, sign_pack

    key = read_secret_key(args.key, _passphrase(args.passphrase_file))
    print(f"{sign_pack(args.pack, key)}: signed with {key.public.id}")
    return 0


def _passphrase(path: Path | None, *, is_new: bool = False) -> str:
    if path is not None:
        return path.read_text(encoding="utf-8").split("\n")[0].rstrip("\r")
    if (given := os.environ.get(VARIABLE)) is not None:
        return given
    passphrase = getpass.getpass("passphrase of the key: ")
    if is_new and getpass.getpass("again: ") != passphrase:
        raise ValueError("two passphrases that differ; nothing was made.")
    return passphrase
