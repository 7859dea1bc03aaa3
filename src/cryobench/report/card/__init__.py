"""The card of a data set: its contents and provenance as a page."""
