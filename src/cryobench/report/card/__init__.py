"""The card of a data set: what it is, as a page."""
