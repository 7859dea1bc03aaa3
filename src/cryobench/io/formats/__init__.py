"""File formats, independent of the meaning of their values."""
