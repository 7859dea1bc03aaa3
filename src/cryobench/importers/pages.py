"""docs/importers.md, made of what the classes of importers say. To write it anew after a change:

python -m cryobench.importers.pages docs/importers.md
"""

import sys
from inspect import cleandoc
from pathlib import Path

from cryobench.importers.registry import IMPORTERS, get_importer

_HEAD = """
# Results of other programs

    cryobench import files --latents z.npy --volumes maps --dataset antibody -o runs/mine --method mine
    cryobench import cryodrgn jobs/vae --dataset antibody -o runs/cryodrgn
    cryobench import auto jobs/042 --dataset antibody -o runs/042 --dry-run

makes a run of what another program found, which is scored and reported like any other. Only files are read: no
foreign package is imported, and pickles are opened by unpicklers that run nothing. RUN/import.json names every
file with its hash, and says what was converted, assumed and not found; `--dry-run` prints it and writes
nothing.

**Which row is which particle** is taken from a column of the table that names particles, images or uids; from
the STAR or .cs file that the program read (`--images`, or what its configuration names) with the selection that
it used (`--indices`); from the indices alone; and only then from the order, if there are as many rows, which is
said. Sources that contradict one another are an error that shows both. Particles that were left out have no
latent: scores count them as uninformative.

**Volumes** of the query particles are the program's own where it wrote them, else come from its model by the
decoder that methods here use, else, with `--volumes-by kernel-regression`, from the images near each latent.
Which it was stands in the record. Maps of another box or voxel size are resampled in Fourier space, and it is
said. Contrast and hand are judged by the images at their given poses, and said; nothing is turned about unless
`--invert` or `--mirror` is given.

Files that were put into the folder of a run by hand are not part of it: `score` and `report` name them, with the
command that imports them as a run of their own.
"""


def describe_importers() -> str:
    """The page in Markdown."""
    parts = [cleandoc(_HEAD)]
    for name in IMPORTERS:
        importer = get_importer(name)
        rows = "\n".join(f"| `{files}` | {what} |" for files, what in importer.reads.items())
        parts.append(f"## {name}\n\n{importer.title}\n\n| files | what is taken |\n|---|---|\n{rows}")
    parts.append(
        "This page is made from the code: `python -m cryobench.importers.pages docs/importers.md`. Packages add "
        "importers through the entry-point group `cryobench.importers`; `cryobench.testing.check_importer` holds the "
        "laws that all must keep."
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(describe_importers(), encoding="utf-8")
