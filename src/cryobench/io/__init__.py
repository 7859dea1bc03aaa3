"""Files: MRC, the tables and pickles of other programs, and the package's own layout.

Every format is converted to the conventions of this package here and nowhere else. Reading checks what a file
promises against what it holds; writing is atomic.
"""
