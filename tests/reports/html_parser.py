"""Reads a page as a browser would, strictly: a tag that is not closed in order fails the test."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Collects tags and text, and fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict]:
        """Attributes of every such tag that has these attributes; `class_` asks for one class of several."""
        of_class = wanted.pop("class_", None)
        return [
            attrs
            for name, attrs in self.tags
            if name == tag
            and all(attrs.get(key) == value for key, value in wanted.items())
            and (of_class is None or of_class in (attrs.get("class") or "").split())
        ]
