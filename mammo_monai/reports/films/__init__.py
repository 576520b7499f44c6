"""Films on pages: those of a manifest, one as HTML with its boxes, and the page on films a model marked."""
