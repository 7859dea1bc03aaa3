"""From states to images: projections, noise, and the parts into which the work is divided."""
