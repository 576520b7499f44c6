"""Style sheet and scripts of the review page."""
