"""Version of the installed package, and of the libraries it computes with."""

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

try:
    __version__ = version("cryobench")
except PackageNotFoundError:  # the source alone, on the path
    __version__ = "not installed"

LIBRARIES = ("numpy", "scipy", "torch", "numba", "scikit-learn")
"""Libraries whose versions change the last bits of results."""


def describe_software() -> dict[str, str]:
    """Version of Python and of ``LIBRARIES``, and the commit of this package if it is from a repository."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    commit = find_commit()
    return found if commit is None else {**found, "commit": commit}


def find_commit() -> str | None:
    """Commit from which the package was installed, or of its checkout ("+" if that was changed)."""
    try:
        stored = distribution("cryobench").read_text("direct_url.json")
    except PackageNotFoundError:
        stored = None
    if stored is not None and (commit := json.loads(stored).get("vcs_info", {}).get("commit_id")):
        return str(commit)
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        asked = [
            subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True)
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return asked[0].stdout.strip() + ("+" if asked[1].stdout.strip() else "")
