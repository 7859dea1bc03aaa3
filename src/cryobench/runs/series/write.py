"""Volume series of a finished run, in a folder of numbered MRC files."""

from pathlib import Path

from cryobench._errors import UnknownName
from cryobench.io.folders.series_store import FOLDER, name_frames, save_series_table
from cryobench.io.store import load_reconstruction
from cryobench.latents.centres import nearest_particles
from cryobench.reconstruction.decoders import check_box
from cryobench.reconstruction.engine import RunContext
from cryobench.runs.score import find_dataset
from cryobench.runs.series.kinds import KINDS, Latents
from cryobench.runs.series.settings import SeriesSettings
from cryobench.runs.volume_folder import write_volume_folder


def write_series(
    run: Path,
    kind: str,
    folder: Path | None = None,
    settings: SeriesSettings | None = None,
    *,
    box_size: int | None = None,
    dataset: Path | None = None,
    context: RunContext | None = None,
) -> list[Path]:
    """Write a series of volumes, ``frame-000.mrc`` on, ``series.csv`` and ``series.json`` into a new folder.

    Parameters
    ----------
    run
        RUN folder of a finished run.
    kind
        One of ``KINDS``.
    folder
        New, or left by the same interrupted command, which then resumes. None for ``name_folder``'s, in
        the run, shown by the report.
    box_size
        Box of preview volumes, which are Fourier-cropped to it. None for the data set's.
    dataset
        The data set's folder, if it is not at the path in the run record.
    context
        Device, memory, workers and progress.

    Raises
    ------
    UnknownName
        No such kind.
    ValueError
        The run lacks what the kind needs, or a setting is invalid for it.
    FileExistsError
        The folder exists and is not of this command.
    FormatError
        The run did not finish, its data set is another now, or the folder is of another interrupted command.
    """
    if kind not in KINDS:
        raise UnknownName("kind of series", kind, KINDS)
    settings, context = settings or SeriesSettings(), context or RunContext()
    reconstruction = load_reconstruction(run)
    data = find_dataset(reconstruction, dataset)
    box = check_box(box_size, data.particles.box_size)
    latents = Latents.read(reconstruction)
    frames = KINDS[kind].plan(latents, settings)
    particles = frames.particles
    if particles is None:
        particles = nearest_particles(latents.values, frames.latents)
    about = {
        "kind": kind,
        "title": frames.title,
        "method": reconstruction.name,
        "run": str(Path(run).resolve()),
        "dataset": data.name,
        "box_size": box,
        "settings": {name: getattr(settings, name) for name in KINDS[kind].uses},
    }

    def finish(target: Path) -> None:
        save_series_table(target, frames.latents, particles, frames.columns, {**about, **frames.facts})

    return write_volume_folder(
        name_folder(run, kind, settings) if folder is None else folder,
        name_frames(len(frames.latents)),
        lambda missing, inner: frames.source.make(missing, data, box, inner),
        rows=frames.source.rows,
        call=about,
        pixel_size=data.particles.pixel_size * data.particles.box_size / box,
        context=context,
        finish=finish,
    )


def name_folder(run: Path, kind: str, settings: SeriesSettings) -> Path:
    """Folder of a series in its run, named by its kind and, for a series along one, the axis."""
    goes_along = "axis" in KINDS[kind].uses and settings.anchors is None
    return Path(run) / FOLDER / (f"{kind}-{settings.axis}" if goes_along else kind)
