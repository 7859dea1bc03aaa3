"""Files: MRC, the tables and pickles of other programs, and the package's own layout.

Every format is converted to the conventions of this package here and nowhere else. Reading validates the
contents of a file; writing is atomic.
"""
