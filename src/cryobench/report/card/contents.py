"""Contents of a data set's card, as tables and pictures, gathered once."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cryobench._progress import Task
from cryobench.data import Dataset
from cryobench.report.card import composition, dataset_tables, variables
from cryobench.report.card.command import Setting, changed_settings, make_command
from cryobench.report.card.conventions import ConventionView, view_conventions
from cryobench.report.card.facts import Facts, describe_dataset
from cryobench.report.card.spectra import Spectra, measure_spectra
from cryobench.report.card.state_list import list_states
from cryobench.report.card.states import StateView, picture_states, view_states
from cryobench.report.card.views import ParticleViews, spread_particles, view_particles
from cryobench.report.colours import CYCLIC, NEUTRAL, SEQUENTIAL, map_colours, to_hex

EXAMPLE_PARTICLES = 7


@dataclass(frozen=True, eq=False)
class Card:
    """Tables and pictures behind one card; None or empty where something is not known."""

    dataset: Dataset
    groups: dict[str, Facts]
    settings: list[Setting]
    command: str | None
    state_list: pd.DataFrame | None
    """All states; ``views`` are those with a picture."""
    views: list[StateView]
    pictures: list[np.ndarray]
    colours: list[str]
    """Colours of the pictures, by the first collective variable if there is one."""
    colour_title: str | None
    """That variable with its unit."""
    examples: list[ParticleViews]
    spectra: Spectra
    ctf: pd.DataFrame
    ctf_curves: pd.DataFrame
    directions: pd.DataFrame | None
    poses: pd.DataFrame | None
    states: pd.DataFrame | None
    histograms: list[variables.Histogram]
    n_variables: int
    pair: pd.DataFrame | None
    occupancies: pd.DataFrame | None
    assembly: composition.Assembly | None
    check: ConventionView | None
    """The convention check stored with the data set."""


def collect_card(dataset: Dataset, task: Task) -> Card:
    """Gather what a card shows. Reads a few hundred images and at most 48 true volumes."""
    truth = dataset.truth
    rotations = dataset_tables.known_rotations(dataset)
    views = view_states(dataset, task)
    axes = variables.variable_axes(dataset)
    return Card(
        dataset=dataset,
        groups=describe_dataset(dataset),
        settings=changed_settings(dataset.card),
        command=make_command(dataset.card),
        state_list=list_states(dataset),
        views=views,
        pictures=picture_states(views),
        colours=_colours(views, axes[0].title, axes[0].period) if axes else [NEUTRAL] * len(views),
        colour_title=axes[0].title if axes else None,
        examples=view_particles(dataset, spread_particles(dataset, EXAMPLE_PARTICLES)),
        spectra=measure_spectra(dataset, views),
        ctf=dataset_tables.ctf_table(dataset),
        ctf_curves=dataset_tables.ctf_curve_table(dataset),
        directions=None if rotations is None else dataset_tables.direction_map(rotations),
        poses=dataset_tables.pose_table(dataset),
        states=dataset_tables.state_table(dataset),
        histograms=variables.variable_histograms(dataset),
        n_variables=len(axes),
        pair=variables.variable_pair(dataset),
        occupancies=None if truth is None else composition.occupancy_map(truth),
        assembly=None if truth is None else composition.lay_out_assembly(truth),
        check=view_conventions(dataset),
    )


def _colours(views: list[StateView], title: str, period: float | None) -> list[str]:
    """Colour of each state by a collective variable, light enough for a dark page; grey where it is not known."""
    values = np.array([view.variables.get(title, np.nan) for view in views], dtype=np.float64)
    finite = values[np.isfinite(values)]
    if period is not None:
        positions, colours = values / period % 1, CYCLIC
    else:
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
        positions, colours = 0.25 + 0.7 * (values - low) / max(high - low, 1e-12), SEQUENTIAL
    return [to_hex(map_colours(position, colours)) if np.isfinite(position) else NEUTRAL for position in positions]
