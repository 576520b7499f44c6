"""The review page: one document with its styles and scripts in it, and the policy that allows no others."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html import escape
from importlib.resources import files

from mammo_monai import __version__
from mammo_monai.records import LESION_LABELS
from mammo_monai.reports.films.film import kind_variables
from mammo_monai.reports.page.shell import INTENDED_USE, html_page

_SCRIPTS = (
    "film.js",
    "marks.js",
    "pane_input.js",
    "saving.js",
    "worklist.js",
    "findings.js",
    "dialogs.js",
    "keys.js",
    "page.js",
)
_TOKEN = "TOKEN-OF-THIS-START"


def review_page(token: str) -> str:
    """The page, carrying the token that its requests send."""
    return _page().replace(_TOKEN, escape(token))


@cache
def content_security_policy() -> str:
    """The page's own script and style by their hashes, its own server, nothing else.

    Source: W3C Content Security Policy Level 3, 2.3.1 (hash sources).
    """
    page = _page()
    scripts = " ".join(_hash(text) for text in re.findall(r"<script>(.*?)</script>", page, re.DOTALL))
    styles = " ".join(_hash(text) for text in re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _page() -> str:
    body = _asset("page.html")
    options = "".join(f'<option value="{n}">{escape(name)}</option>' for name, n in LESION_LABELS.items())
    for name, text in {
        "{{intended_use}}": escape(INTENDED_USE),
        "{{version}}": escape(__version__),
        "{{labels}}": options,
    }.items():
        body = body.replace(name, text)
    head = f'<meta name="review-token" content="{_TOKEN}">\n<link rel="icon" href="data:,">\n'
    scripts = ['"use strict";\n' + "".join(map(_asset, _SCRIPTS))]
    styles = (kind_variables(), _asset("review.css"))
    return html_page("Review", body, styles=styles, scripts=scripts, head=head)


def _asset(name: str) -> str:
    return files("mammo_monai.service.review.assets").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
