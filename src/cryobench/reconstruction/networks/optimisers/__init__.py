"""Variants of Adam: with a state that can be kept, and for tables of which a step touches a few rows."""
