"""A data set to look through: every image with its boxes, page by page."""
