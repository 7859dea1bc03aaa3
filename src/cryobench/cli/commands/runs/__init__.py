"""Commands that make runs, decode, score and show them."""
