"""`--trust` of the verbs that run a bundle."""

from __future__ import annotations

import argparse


def add_trust_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option; what is trusted for good is put on the list by `bundle trust`."""
    text = "run the bundle though it does more than is known (see `bundle inspect`, `bundle trust`)"
    parser.add_argument("--trust", action="store_true", help=text)
