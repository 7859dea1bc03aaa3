"""What tests look at in an HTML page: references, ids, tags, texts, and no inline handler anywhere."""

from html.parser import HTMLParser
from pathlib import Path


class ParsedPage(HTMLParser):
    """References, ids, tags, plots and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.plots: list[str] = []
        self.texts: list[str] = []
        self.pictures_without_words = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.pictures_without_words += tag == "img" and not dict(attrs).get("alt")
        for name, value in attrs:
            if name in ("src", "href", "data", "poster", "srcset"):
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "data-plot":
                self.plots.append(value or "")
            assert not name.startswith("on"), f"inline handler {name} on {tag}"

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All text, white space made single."""
        return " ".join(" ".join(self.texts).split())


def check_references(page: ParsedPage, folder: Path) -> None:
    """Every reference is a file of the folder that is not empty, or a place of the page."""
    for reference in page.references:
        if reference.startswith("#"):
            assert reference[1:] in page.ids, reference
        elif reference != "data:,":
            assert (folder / reference).stat().st_size > 0, reference
