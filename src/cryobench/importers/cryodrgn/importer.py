"""``Cryodrgn``: latents, poses, and the network of a job as parts of a reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import Dataset
from cryobench.importers.cryodrgn.job import Job, describe_value, find_job, recognise_job
from cryobench.importers.cryodrgn.network import check_box, read_network, read_weights, tensors_of
from cryobench.importers.importer import Found, Importer, check_options
from cryobench.importers.maps import ForeignMaps, place_maps
from cryobench.importers.poses import place_poses
from cryobench.importers.rows import Rows, find_particles, read_indices
from cryobench.io.formats.pickles import read_pickles
from cryobench.io.programs.cryodrgn import read_poses
from cryobench.reconstruction.decoders.coordinate_network import pack_weights

Program = Literal["train_vae", "train_dec", "abinit", "abinit_het_old", "drgnai"]
_CENTRES = "centers_ind.txt"
"""File in the folder of an analysis with the row of each of its volumes."""
_OPTIONS = ("epoch", "images", "indices", "latents_from", "poses", "volumes_by", "voxel_size")


@dataclass
class Cryodrgn(Importer):
    """Results of cryoDRGN's programs and of drgnai: latents, poses, and the network that decodes volumes."""

    name = "cryodrgn"
    title = "cryoDRGN 1 to 4 (train_vae, train_dec, abinit, abinit_het_old) and drgnai."
    reads: ClassVar[Mapping[str, str]] = {
        "z.N.pkl, conf.N.pkl": "latents of the last epoch, or of --epoch N",
        "weights.N.pkl": "the network, for volumes at any latent; the table of latents at the end of the epoch "
        "(--latents-from table)",
        "pose.N.pkl": "poses found by the program",
        "config.yaml, drgnai-configs.yaml, config.pkl": "sizes, scale s of the volumes, version, the table of "
        "images and the selection of particles",
        "analyze.N/kmeansK": "the program's own volumes, if they are those of the query particles",
    }

    path: Path
    options: dict[str, Any]

    @classmethod
    def recognise(cls, path: Path) -> str | None:
        """Sign by which a folder is recognised: its configuration and numbered latents."""
        return recognise_job(path)

    @classmethod
    def open(cls, path: Path | None, options: Mapping[str, Any]) -> Cryodrgn:
        """As ``Importer.open``."""
        if path is None:
            raise ValueError("import cryodrgn needs the folder of the job (its option -o).")
        given = check_options(cls, options, _OPTIONS)
        if given.get("latents_from", "files") not in ("files", "table"):
            raise ValueError(f"--latents-from is files or table, got {given['latents_from']!r}.")
        if str(given.get("poses", "none")) != "none":
            raise ValueError(
                f"poses are read from the job: --poses accepts only none, to leave them out; got {given['poses']}."
            )
        return cls(Path(path), given)

    def read(self, dataset: Dataset) -> Found:
        """As ``Importer.read``."""
        epoch = self.options.get("epoch")
        job = find_job(self.path, None if epoch is None else int(epoch))
        notes: list[str] = []
        saved = read_pickles(job.latents)
        weights = None if job.weights is None else read_weights(job.weights)
        program = _tell_program(job, saved, weights)
        latents = self._choose_latents(job, program, saved, weights, notes)
        images, indices = self._find_tables(job, len(latents), dataset, notes)
        rows = find_particles(len(latents), job.latents, dataset, images=images, indices=indices)
        notes.append(f"{job.latents.name}: {rows.describe()}")
        searched = program in ("abinit", "abinit_het_old")
        rotations, shifts = None, None
        if job.poses is not None and "poses" not in self.options:
            rotations, shifts = _read_poses(job, job.poses, program, dataset, rows, notes)
        missing = [] if job.weights is not None else [f"no weights in {job.folder.name}"]
        if searched and job.poses is None:
            missing.append(f"no poses in {job.folder.name}")
        model: Mapping[str, np.ndarray] = {}
        box = None
        if weights is not None:
            shape, scale, named = read_network(job, weights, latents.shape[1])
            box = check_box(shape, dataset, notes)
            model = pack_weights(shape, scale, named)
        own = _own_volumes(job, rows, dataset, self.options.get("voxel_size"), notes)
        poses = None if rotations is None else job.poses
        files = [job.config, job.latents, job.weights, poses, images, indices]
        files += [own.paths[0].parent / _CENTRES, *dict.fromkeys(own.paths)] if own is not None else []
        version = job.entry("version") or "of unknown version"
        tool = f"drgnai {version}" if program == "drgnai" else f"cryoDRGN {version} {program}"
        return Found(
            tool=tool.replace(" of unknown version", ", version unknown"),
            latents=rows.place(latents),
            rotations=rotations,
            shifts=shifts,
            volumes=own,
            model=model,
            decodes_by="coordinate-network" if weights is not None else None,
            box=box,
            poses="estimated" if searched or job.poses is not None else "given",
            atomic_model="none",
            settings={"epoch": job.epoch, **(job.entry("model_args") or job.entry("training") or {})},
            files=tuple(each for each in files if each is not None),
            notes=tuple(notes),
            missing=tuple(missing),
        )

    def _choose_latents(
        self,
        job: Job,
        program: Program,
        saved: list[Any],
        weights: Mapping[str, Any] | None,
        notes: list[str],
    ) -> np.ndarray:
        if self.options.get("latents_from") == "table":
            table = None if weights is None else tensors_of(weights).get("conf_table.table_conf")
            if table is None:
                raise FormatError(f"{job.folder} has no table of latents in its weights: leave --latents-from out.")
            notes.append("latents are from the table at the end of the epoch, not those that the program saves.")
            return table.astype(np.float32)
        latents = np.asarray(saved[0])
        if latents.ndim != 2 or latents.dtype.kind != "f":
            raise FormatError(
                f"{job.latents} holds {describe_value(saved[0])}, expected latents (particles, dimensions)."
            )
        if program in ("abinit", "drgnai"):
            notes.append(
                "latents are those of each particle during the epoch, as the program saves them; for those at "
                "its end: --latents-from table."
            )
        return latents.astype(np.float32)

    def _find_tables(
        self, job: Job, n_rows: int, dataset: Dataset, notes: list[str]
    ) -> tuple[Path | None, Path | None]:
        """Table of the images that the program read, and its selection, as given or as in the configuration."""
        stated = {
            name: job.entry("dataset_args", entry) or job.entry("training", entry)
            for name, entry in (("images", "particles"), ("indices", "ind"))
        }
        images, indices = (
            Path(given) if (given := self.options.get(name)) else job.find(stated[name])
            for name in ("images", "indices")
        )
        if images is not None and "images" not in self.options:
            if images.suffix.lower() not in (".star", ".cs"):
                images = None  # stacks do not name single particles
            elif not images.exists():
                notes.append(
                    f"{job.config.name} names {images} as the table of images, which does not exist: if rows are in "
                    "another order than the particles, give it as --images FILE."
                )
                images = None
            else:
                notes.append(f"{job.config.name} names {images} as the table of images.")
        chosen = indices
        if chosen is not None and not chosen.exists():
            raise FormatError(
                f"{job.config} selects particles by {chosen}, and that file is missing: give it as --indices FILE."
            )
        if chosen is not None and len(read_indices(chosen)) != n_rows and n_rows == len(dataset.particles):
            raise FormatError(f"{job.latents} has {n_rows:,} rows, but {chosen} selects another number.")
        return images, chosen


def _tell_program(job: Job, saved: list[Any], weights: Mapping[str, Any] | None) -> Program:
    if job.config.name.startswith("drgnai"):
        return "drgnai"
    keys = {} if weights is None else weights
    if len(saved) == 1 and job.entry("model_args", "qdim") is not None:
        raise FormatError(f"{job.latents} ends after the means of the latents: it is truncated. Copy it again.")
    if len(saved) > 1:
        if weights is not None and not any(name.startswith("encoder.") for name in tensors_of(weights)):
            raise FormatError(
                f"{job.weights} has no encoder, which latents with variances come from: it does not belong to the "
                f"job of {job.latents.name}."
            )
        return "abinit_het_old" if "search_pose" in keys else "train_vae"
    if "hypervolume_params" in keys or job.entry("training") is not None:
        return "abinit"
    return "train_dec"


def _read_poses(
    job: Job, path: Path, program: Program, dataset: Dataset, rows: Rows, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    particles = dataset.particles
    side = job.entry("lattice_args", "D") or particles.box_size + 1
    extent = particles.box_size * particles.pixel_size
    in_pixels = program in ("abinit", "drgnai")
    # Å per pixel of the images that the program read; fractions are of a box of D + 1 of these.
    pixel = extent / (int(side) - 1)
    rotations, shifts = read_poses(
        path, box_size=int(side), pixel_size=pixel, shift_unit="pixel" if in_pixels else "fraction"
    )
    if len(rotations) <= rows.of.max():
        raise FormatError(f"{path} has {len(rotations):,} poses, fewer than there are latents.")
    notes.append(f"{path.name}: shifts are {'pixels' if in_pixels else f'fractions of {side} px'}.")
    return place_poses(rotations, shifts, rows, path)


def _own_volumes(
    job: Job, rows: Rows, dataset: Dataset, voxel_size: float | None, notes: list[str]
) -> ForeignMaps | None:
    """Maps written by the program, if they are of all query particles."""
    wanted = rows.of[dataset.queries]
    for folder in sorted(job.folder.glob(f"analy*[._]{job.epoch}/kmeans*")):
        centres = folder / _CENTRES
        if not centres.exists():
            continue
        indices = read_indices(centres).tolist()
        maps = sorted(folder.glob("vol_*.mrc"))
        if len(maps) != len(indices) or not set(wanted.tolist()) <= set(indices):
            continue
        place = dict(zip(indices, maps, strict=True))
        notes.append(f"volumes are the program's own, of {folder.parent.name}/{folder.name}.")
        return place_maps([place[int(row)] for row in wanted], dataset.particles, notes, voxel_size=voxel_size)
    return None
