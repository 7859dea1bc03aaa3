"""Commands that make, decode, score and show runs."""
