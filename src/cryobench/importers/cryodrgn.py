"""cryoDRGN (train_vae, train_dec, abinit, abinit_het_old; versions 1 to 4) and drgnai (cryoDRGN-AI).

====================  =========================================================================================
program               known by
====================  =========================================================================================
train_vae             z.N.pkl with log-variances after the means
abinit_het_old        the same, and weights that keep ``search_pose``; ``abinit_het`` before version 4
train_dec             z.N.pkl with one array, and weights that keep ``norm``
abinit                z.N.pkl with one array, and weights that keep ``hypervolume_params``
drgnai                conf.N.pkl and drgnai-configs.yaml
====================  =========================================================================================

Epochs are named as the program names them: from 0 up to cryoDRGN 3.4 and in drgnai, from 1 since 3.5. Latents are
those in the program's files; drgnai and ``abinit`` save what each particle had *during* the epoch, and keep the table
as it was at its end in their weights (``latents_from="table"``). Shifts of found poses are fractions of the box of
D + 1 (``abinit_het_old``) or pixels (``abinit``, drgnai).
Source: files of cryoDRGN 4.3.1 and 3.4.3 and of drgnai 0.3.2b.
"""

from __future__ import annotations

import argparse
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import yaml

from cryobench._errors import FormatError
from cryobench.data import Dataset
from cryobench.importers.importer import Found, Importer, check_options
from cryobench.importers.maps import ForeignMaps, place_maps
from cryobench.importers.poses import place_poses
from cryobench.importers.rows import Rows, find_particles, read_indices
from cryobench.io.cryodrgn import read_poses
from cryobench.io.cryodrgn_weights import read_decoder
from cryobench.io.pickles import read_pickle, read_pickles
from cryobench.reconstruction.decoders.coordinate_network import pack_weights
from cryobench.reconstruction.networks import NetworkShape

Program = Literal["train_vae", "train_dec", "abinit", "abinit_het_old", "drgnai"]
_OPTIONS = ("epoch", "images", "indices", "latents_from", "volumes_by")
_CONFIGS = ("config.yaml", "drgnai-configs.yaml", "config.pkl")


@dataclass(frozen=True)
class _Job:
    """Files of one epoch."""

    folder: Path
    epoch: str
    """As in the names of files; "" for copies without a number."""
    config: Path
    entries: Mapping[str, Any]
    latents: Path
    weights: Path | None
    poses: Path | None

    def entry(self, *names: str) -> Any:
        """An entry of the configuration, by the names of its parts; None if it is not there."""
        found: Any = self.entries
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found


@dataclass
class Cryodrgn(Importer):
    """Results of cryoDRGN's programs and of drgnai: latents, poses, and the network that decodes volumes."""

    name = "cryodrgn"
    title = "cryoDRGN 1 to 4 (train_vae, train_dec, abinit, abinit_het_old) and drgnai."
    reads: ClassVar[Mapping[str, str]] = {
        "z.N.pkl, conf.N.pkl": "latents of the last epoch, or of --epoch N",
        "weights.N.pkl": "the network, for volumes at any latent; the table of latents at the end of the epoch "
        "(--latents-from table)",
        "pose.N.pkl": "poses that the program found",
        "config.yaml, drgnai-configs.yaml, config.pkl": "sizes, number s that scales volumes, version, the table of "
        "images and the selection of particles",
        "analyze.N/kmeansK": "the program's own volumes, where they are those of the query particles",
    }

    path: Path
    options: dict[str, Any]

    @classmethod
    def recognise(cls, path: Path) -> str | None:
        """By its configuration and numbered latents."""
        folder = _find_folder(path)
        config = next((folder / name for name in _CONFIGS if (folder / name).exists()), None)
        latents = _list_latents(folder)
        return None if config is None or not latents else f"{config.name} beside {latents[max(latents)].name}"

    @classmethod
    def open(cls, path: Path | None, options: Mapping[str, Any]) -> Cryodrgn:
        """As ``Importer.open``."""
        if path is None:
            raise ValueError("import cryodrgn needs the folder of the job (its option -o).")
        given = check_options(cls, options, _OPTIONS)
        if given.get("latents_from", "files") not in ("files", "table"):
            raise ValueError(f"--latents-from is files or table, got {given['latents_from']!r}.")
        return cls(Path(path), given)

    def read(self, dataset: Dataset) -> Found:
        """As ``Importer.read``."""
        job = self._find_job()
        notes: list[str] = []
        saved = read_pickles(job.latents)
        weights = None if job.weights is None else _read_weights(job.weights)
        program = _tell_program(job, saved, weights)
        latents = self._choose_latents(job, program, saved, weights, notes)
        rows = self._find_rows(job, len(latents), dataset)
        notes.append(f"{job.latents.name}: {rows.describe()}")
        rotations, shifts = _read_poses(job, program, dataset, rows, notes)
        missing = [f"no {what} in {job.folder.name}" for what in ("weights", "poses") if getattr(job, what) is None]
        model: Mapping[str, np.ndarray] = {}
        box = None
        if weights is not None:
            shape, scale, named = _read_network(job, weights, latents.shape[1])
            box = _check_box(shape, dataset, notes)
            model = pack_weights(shape, scale, named)
        own = _own_volumes(job, rows, dataset, notes)
        files = [job.config, job.latents, job.weights, job.poses, *(own.paths if own is not None else ())]
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
            poses="estimated" if program in ("abinit", "abinit_het_old") or rotations is not None else "given",
            settings={"epoch": job.epoch, **(job.entry("model_args") or job.entry("training") or {})},
            files=tuple(each for each in files if each is not None),
            notes=tuple(notes),
            missing=tuple(missing),
        )

    def _find_job(self) -> _Job:
        folder = _find_folder(self.path)
        if not folder.is_dir():
            raise FormatError(f"{folder} does not exist or is no folder, expected that of a job of cryoDRGN.")
        config = next((folder / name for name in _CONFIGS if (folder / name).exists()), None)
        if config is None:
            raise FormatError(f"{folder} has none of {', '.join(_CONFIGS)}: it is no folder of a job of cryoDRGN.")
        latents = _list_latents(folder)
        if not latents:
            raise FormatError(f"{folder} has no latents (z.N.pkl or conf.N.pkl): has the job finished an epoch?")
        wanted = self.options.get("epoch")
        epoch = max(latents) if wanted is None else int(wanted)
        if epoch not in latents:
            raise FormatError(
                f"{folder} has no latents of epoch {epoch}: there are those of "
                f"{', '.join(map(str, sorted(latents)))}, "
                "as the program counts."
            )
        text = "" if epoch == _FINAL else f".{epoch}"
        found = {name: folder / f"{name}{text}.pkl" for name in ("weights", "pose")}
        return _Job(
            folder,
            text.removeprefix("."),
            config,
            _read_config(config),
            latents[epoch],
            *(path if path.exists() else None for path in found.values()),
        )

    def _choose_latents(
        self,
        job: _Job,
        program: Program,
        saved: list[Any],
        weights: Mapping[str, Any] | None,
        notes: list[str],
    ) -> np.ndarray:
        if self.options.get("latents_from") == "table":
            table = None if weights is None else _tensors(weights).get("conf_table.table_conf")
            if table is None:
                raise FormatError(f"{job.folder} keeps no table of latents in its weights: leave --latents-from out.")
            notes.append("latents are the table at the end of the epoch, not those that the program saves.")
            return table.astype(np.float32)
        latents = np.asarray(saved[0])
        if latents.ndim != 2 or latents.dtype.kind != "f":
            raise FormatError(f"{job.latents} holds {_say(saved[0])}, expected latents (particles, dimensions).")
        if program in ("abinit", "drgnai"):
            notes.append(
                "latents are those that each particle had during the epoch, as the program saves them; those at "
                "its end: "
                "--latents-from table."
            )
        return latents.astype(np.float32)

    def _find_rows(self, job: _Job, n_rows: int, dataset: Dataset) -> Rows:
        stated = {
            name: job.entry("dataset_args", entry) or job.entry("training", entry)
            for name, entry in (("images", "particles"), ("indices", "ind"))
        }
        images = self.options.get("images") or stated["images"]
        indices = self.options.get("indices") or stated["indices"]
        table = None if images is None else Path(str(images))
        if table is not None and (table.suffix.lower() not in (".star", ".cs") or not table.exists()):
            table = None  # stacks name no particles one by one
        chosen = None if indices is None else Path(str(indices))
        if chosen is not None and not chosen.exists():
            raise FormatError(
                f"{job.config} says that the particles of {chosen} were used, and that file is missing: give it as "
                "--indices FILE."
            )
        if chosen is not None and len(read_indices(chosen)) != n_rows and n_rows == len(dataset.particles):
            raise FormatError(f"{job.latents} has {n_rows:,} rows, but {chosen} selects other than that many.")
        return find_particles(n_rows, job.latents, dataset, images=table, indices=chosen)


_FINAL = 1 << 30
"""Stands for the copies without a number, where no others are."""


def _find_folder(path: Path) -> Path:
    """The folder with the files: that of the job, its ``out``, or the one around ``analyze.N``."""
    path = Path(path)
    if re.fullmatch(r"analy[sz]e\.\d+|analysis_\d+", path.name):
        path = path.parent
    inner = path / "out"
    return inner if (inner / "drgnai-configs.yaml").exists() else path


def _list_latents(folder: Path) -> dict[int, Path]:
    """Files of latents by epoch; pre-training, −1 in drgnai, has none worth reading."""
    found = {}
    for path in folder.glob("*.pkl") if folder.is_dir() else ():
        named = re.fullmatch(r"(?:z|conf)\.(\d+)\.pkl", path.name)
        if named:
            found[int(named[1])] = path
    final = folder / "z.pkl"
    return found or ({_FINAL: final} if final.exists() else {})


def _read_config(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".pkl":
        entries = read_pickle(path)
    else:
        try:
            entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise FormatError(f"{path} cannot be read as YAML ({error}).") from error
    if not isinstance(entries, Mapping):
        raise FormatError(f"{path} holds {_say(entries)}, expected the configuration of a job.")
    return entries


def _read_weights(path: Path) -> Mapping[str, Any]:
    """A checkpoint, by PyTorch's unpickler of weights, which runs nothing: it knows tensors, and here arrays."""
    try:
        with torch.serialization.safe_globals(_array_globals()):
            found = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged or hostile file can fail in any way inside it.
    except Exception as error:
        raise FormatError(
            f"{path} cannot be read as weights ({type(error).__name__}): it is damaged, or names code that would "
            "have to be run, which is refused."
        ) from error
    if not isinstance(found, Mapping) or "model_state_dict" not in found:
        raise FormatError(f"{path} holds {_say(found)}, expected weights with a model_state_dict.")
    return found


def _array_globals() -> list[Any]:
    """What pickles of arrays, options and times name; functions of NumPy by their names in versions 1 and 2."""
    rebuild: Any = np.zeros(0).__reduce__()[0]
    scalar: Any = np.float64(0).__reduce__()[0]
    named = [
        (function, f"{core}.multiarray.{name}")
        for core in ("numpy.core", "numpy._core")
        for function, name in ((rebuild, "_reconstruct"), (scalar, "scalar"))
    ]
    kinds = {type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "?")}
    return [*named, np.ndarray, np.dtype, *kinds, argparse.Namespace, datetime.datetime, datetime.timedelta]


def _tensors(weights: Mapping[str, Any], name: str = "model_state_dict") -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in weights[name].items() if isinstance(value, torch.Tensor)}


def _tell_program(job: _Job, saved: list[Any], weights: Mapping[str, Any] | None) -> Program:
    if job.config.name.startswith("drgnai"):
        return "drgnai"
    keys = {} if weights is None else weights
    if len(saved) == 1 and job.entry("model_args", "qdim") is not None:
        raise FormatError(f"{job.latents} ends after the means of the latents: it is cut short. Copy it again.")
    if len(saved) > 1:
        return "abinit_het_old" if "search_pose" in keys else "train_vae"
    if "hypervolume_params" in keys or job.entry("training") is not None:
        return "abinit"
    return "train_dec"


def _read_network(
    job: _Job, weights: Mapping[str, Any], z_dim: int
) -> tuple[NetworkShape, float, dict[str, np.ndarray]]:
    assert job.weights is not None
    if "hypervolume_params" in weights:
        sizes = weights["hypervolume_params"]
        named, box = _tensors(weights, "hypervolume_state_dict"), int(sizes["resolution"]) - 1
        domain, scale = sizes["domain"], job.entry("data_norm_std")
        if sizes.get("pe_type_conf") is not None:
            raise FormatError(f"{job.weights}: latents enter this network encoded (pe_type_conf), which is not read.")
    else:
        side = job.entry("lattice_args", "D")
        if side is None:
            raise FormatError(f"{job.config} does not say the box of the network (lattice_args: D).")
        named, box = _tensors(weights), int(side) - 1
        named = {name: values for name, values in named.items() if not name.startswith("encoder.")}
        domain = job.entry("model_args", "domain") or "fourier"
        norm = weights.get("norm") or job.entry("dataset_args", "norm")
        scale = None if norm is None else norm[1]
        kind = job.entry("model_args", "pe_type")
        if kind != "gaussian":
            raise FormatError(
                f"{job.config}: the network encodes positions by {kind!r}, and only gaussian is read (the default "
                "since "
                "cryoDRGN 1). Its latents can be imported alone: remove weights.N.pkl, or give them as files."
            )
    if scale is None:
        raise FormatError(f"{job.config} does not say by what images were divided (norm), so volumes have no scale.")
    try:
        read = read_decoder(named, box)
    except ValueError as error:
        raise FormatError(f"{job.weights} is no network that is known here: {error}.") from error
    depth = sum(name.startswith("blocks.") and name.endswith(".weight") for name in read)
    width = len(read["first.bias"])
    shape = NetworkShape(box, z_dim, width, depth, domain, n_frequencies=len(read["frequencies"]) // 3)
    expected = 2 * shape.encoding_size + z_dim
    if read["first.weight"].shape != (width, expected):
        raise FormatError(
            f"{job.weights}: its first layer takes {read['first.weight'].shape[1]} numbers, expected {expected} for "
            f"latents of {z_dim} dimensions: weights and latents are not of one job."
        )
    return shape, float(scale), read


def _check_box(shape: NetworkShape, dataset: Dataset, notes: list[str]) -> int | None:
    size = dataset.particles.box_size
    if shape.box_size > size:
        raise FormatError(
            f"the network is of images of {shape.box_size} px, and those of {dataset.name} have {size}: it was "
            "trained on "
            "other images."
        )
    if shape.box_size == size:
        return None
    notes.append(f"the network is of images cropped to {shape.box_size} px; volumes are padded to {size} px.")
    return shape.box_size


def _read_poses(
    job: _Job, program: Program, dataset: Dataset, rows: Rows, notes: list[str]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if job.poses is None:
        return None, None
    particles = dataset.particles
    side = job.entry("lattice_args", "D") or particles.box_size + 1
    extent = particles.box_size * particles.pixel_size
    in_pixels = program in ("abinit", "drgnai")
    # Å per pixel of the images that the program read; fractions are of a side of D + 1 of these.
    pixel = extent / (int(side) - 1)
    rotations, shifts = read_poses(
        job.poses, box_size=int(side), pixel_size=pixel, shift_unit="pixel" if in_pixels else "fraction"
    )
    if len(rotations) <= rows.of.max():
        raise FormatError(f"{job.poses} has {len(rotations):,} poses, fewer than there are latents.")
    notes.append(f"{job.poses.name}: shifts are {'pixels' if in_pixels else f'fractions of {side} px'}.")
    return place_poses(rotations, shifts, rows, job.poses)


def _own_volumes(job: _Job, rows: Rows, dataset: Dataset, notes: list[str]) -> ForeignMaps | None:
    """Maps that the program wrote, where they are of all query particles."""
    wanted = rows.of[dataset.queries]
    for folder in sorted(job.folder.glob(f"analy*[._]{job.epoch}/kmeans*")):
        centres = folder / "centers_ind.txt"
        if not centres.exists():
            continue
        indices = read_indices(centres).tolist()
        maps = sorted(folder.glob("vol_*.mrc"))
        if len(maps) != len(indices) or not set(wanted.tolist()) <= set(indices):
            continue
        place = dict(zip(indices, maps, strict=True))
        notes.append(f"volumes are the program's own, of {folder.parent.name}/{folder.name}.")
        return place_maps([place[int(row)] for row in wanted], dataset.particles, notes)
    return None


def _say(value: object) -> str:
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
