"""docs/importers.md, generated from the classes of importers. To write it again after a change:

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

makes a run from another program's results, which is scored and reported like any other. Only files are read: no
foreign package is imported, and pickles are opened by unpicklers that execute nothing. RUN/import.json lists every
file with its hash, and everything converted, assumed and not found; `--dry-run` prints it and writes
nothing.

**Rows are matched to particles** by a column of the table that names particles, images or uids; by
the STAR or .cs file that the program read (`--images`, or the one in its configuration) with the selection that
it used (`--indices`); by the indices alone; and only then by the order, if the numbers are equal, which is
reported. Sources that contradict one another are an error that shows both. Particles that were left out have no
latent: scores count them as uninformative.

**Volumes** of the query particles are the program's own where it wrote them, else decoded from its model as for
methods of this package, else, with `--volumes-by kernel-regression`, from the images near each latent.
The record states which. Maps of another box or voxel size are resampled in Fourier space, which is
reported. Contrast and hand are judged by the images at their given poses and reported; maps are inverted only with
`--invert` or `--mirror`.

Files put into the folder of a run by hand are not part of it: `score` and `report` name them, with the
command that imports them as a separate run.
"""


def describe_importers() -> str:
    """The page in Markdown."""
    parts = [cleandoc(_HEAD)]
    for name in IMPORTERS:
        importer = get_importer(name)
        rows = "\n".join(f"| `{files}` | {what} |" for files, what in importer.reads.items())
        parts.append(f"## {name}\n\n{importer.title}\n\n| files | content |\n|---|---|\n{rows}")
    parts.append(
        "This page is generated from the code: `python -m cryobench.importers.pages docs/importers.md`. Packages add "
        "importers through the entry-point group `cryobench.importers`; `cryobench.testing.check_importer` checks "
        "the laws that all must keep."
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(describe_importers(), encoding="utf-8")
