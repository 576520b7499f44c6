"""Two detectors on the same images: what differs, as tables, CSV and a page."""
