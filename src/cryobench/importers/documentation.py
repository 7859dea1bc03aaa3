"""docs/importers.md, generated from the classes of importers. To write it again after a change:

python -m cryobench.importers.documentation docs/importers.md
"""

import sys
from pathlib import Path

from cryobench.importers.registry import IMPORTERS, get_importer


def describe_importers() -> str:
    """The page in Markdown."""
    parts = [Path(__file__).with_name("head.md").read_text(encoding="utf-8").rstrip()]
    for name in IMPORTERS:
        importer = get_importer(name)
        rows = "\n".join(f"| `{files}` | {what} |" for files, what in importer.reads.items())
        parts.append(f"## {name}\n\n{importer.title}\n\n| files | content |\n|---|---|\n{rows}")
    parts.append(
        "This page is generated from the code: `python -m cryobench.importers.documentation docs/importers.md`. "
        "Packages add importers through the entry-point group `cryobench.importers`; "
        "`cryobench.testing.check_importer` checks the laws that all must keep."
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(describe_importers(), encoding="utf-8")
