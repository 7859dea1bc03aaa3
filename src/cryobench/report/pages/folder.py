"""A page as a folder that opens from disk, without a server and without a network.

Pages opened from disk may not read data files, so data are scripts that pass their value to the page. The JavaScript
of Vega is that of the installed vl-convert package. The folder is written completely or not at all.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import vl_convert

from cryobench._version import __version__
from cryobench.io.atomic import atomic_folder

_bundle_vega = cache(vl_convert.javascript_bundle)
"""JavaScript of Vega, Vega-Lite and vega-embed, in the versions that draw the SVG figures."""


@contextmanager
def page_folder(folder: Path, *, kind: str) -> Iterator[Path]:
    """Yield an empty folder that replaces ``folder`` when the block ends without an exception.

    ``folder`` may be new, empty, or an earlier page of the same ``kind`` ("report", "card"), recognised by its file
    KIND.json, which the block must write.

    Raises
    ------
    FileExistsError
        If it holds anything else; it is left unchanged.
    """
    # Resolve links, so that the target folder is replaced and not the link.
    folder = Path(folder).resolve()
    check_page_folder(folder, kind=kind)
    with atomic_folder(folder, replace=True) as part:
        yield part


def check_page_folder(folder: Path, *, kind: str) -> None:
    """Raise FileExistsError if ``folder`` is neither new, nor empty, nor an earlier page of this kind."""
    marker = f"{kind}.json"
    is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_free and not (folder / marker).is_file():
        raise FileExistsError(
            f"{folder} exists and is not a {kind} (it holds no {marker}), so it was left alone. "
            f"Choose another folder for the {kind}, or remove this one."
        )


def write_static(folder: Path) -> Path:
    """Write the style sheet and scripts of every page into ``folder / "assets"``, and return that folder."""
    assets = folder / "assets"
    assets.mkdir()
    for static in files("cryobench.report").joinpath("static").iterdir():
        (assets / static.name).write_bytes(static.read_bytes())
    # The statement makes the function visible to the page's scripts.
    (assets / "vega.js").write_text(_bundle_vega("window.vegaEmbed = vegaEmbed;"), encoding="utf-8")
    return assets


def write_script(path: Path, call: str, value: Any) -> None:
    """Write a script that passes ``value`` to the page: pages opened from disk may not read JSON files."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    path.write_text(f"{call}({text});\n", encoding="utf-8")


def render(template: str, **values: Any) -> str:
    """HTML of a page from its template. Values are escaped; an undefined name in the template is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cryobench.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(
        version=__version__, written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), **values
    )
