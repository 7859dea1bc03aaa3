"""Run by test_slices.py with TRITON_INTERPRET=1: the Triton bodies beside the reference, errors as JSON."""

import json
import sys

import torch

from cryobench.imaging.kernels import cuda, reference
from cryobench.imaging.layout import GridLayout


def relative(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().pow(2).sum().sqrt() / second.abs().pow(2).sum().sqrt())


def compare(box_size: int, kernel: str, padding: int) -> dict[str, float]:
    layout = GridLayout(box_size, padding, kernel)
    rotations = torch.linalg.qr(torch.randn(3, 3, 3))[0]
    rotations = rotations * torch.linalg.det(rotations)[:, None, None]
    errors = {}
    for volumes in (None, 9):
        shape = layout.shape if volumes is None else (*layout.shape, volumes)
        values = torch.randn(shape, dtype=torch.complex64)
        arguments = (rotations, layout, 2.5)
        slices = cuda.extract(values, *arguments)
        name = f"{box_size} {kernel} {padding} {volumes}"
        errors[name + " extract"] = relative(slices, reference.extract(values, *arguments))
    data, weight = (
        torch.randn(3, box_size, box_size // 2 + 1, dtype=torch.complex64),
        torch.rand(3, box_size, box_size // 2 + 1),
    )
    entries = (torch.tensor([0, 2, 1, 1]), torch.tensor([0, 0, 0, 1]), torch.tensor([0.5, 1.0, 0.2, 0.8]))
    sums = []
    for body in (cuda, reference):
        grids = torch.zeros(2, *layout.shape, dtype=torch.complex64), torch.zeros(2, *layout.shape)
        body.accumulate((data, weight), grids, entries, rotations, layout, 2.5)
        sums.append(torch.cat([grids[0].flatten(), grids[1].flatten().to(torch.complex64)]))
    errors[f"{box_size} {kernel} {padding} accumulate"] = relative(*sums)
    factors, moments = (torch.randn(3, 2), torch.randn(3, 3)), []
    for body in (cuda, reference):
        grid = torch.zeros(*layout.shape, 7)
        body.accumulate_interleaved((data, weight), grid, factors, rotations, layout, 2.5)
        moments.append(grid)
    errors[f"{box_size} {kernel} {padding} interleaved"] = relative(*moments)
    return errors


def compare_wide_once() -> dict[str, float]:
    """The four-tap kernel is slow to interpret: one extraction."""
    layout = GridLayout(6, 1, "wide")
    values = torch.randn(*layout.shape, 2, dtype=torch.complex64)
    rotations = torch.eye(3)[None, [1, 2, 0]]
    slices = cuda.extract(values, rotations, layout, 1.5)
    return {"wide extract": relative(slices, reference.extract(values, rotations, layout, 1.5))}


if __name__ == "__main__":
    torch.manual_seed(1)
    results: dict[str, float] = {}
    if sys.argv[1] == "all":
        for case in ((6, "trilinear", 1), (7, "trilinear", 2), (6, "wide", 2), (7, "wide", 1)):
            results |= compare(*case)
    else:
        results = compare(7, "trilinear", 2) | compare_wide_once()
    print(json.dumps(results))
