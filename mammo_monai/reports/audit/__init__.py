"""Whether a data set can be used: its counts and the findings of its audit, as a page and in a report."""
