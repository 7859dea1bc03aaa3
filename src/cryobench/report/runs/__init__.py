"""The report on scored runs of one data set, as a page."""
