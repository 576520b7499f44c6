"""The report on runs in the formats beside HTML: PDF, CSV, LaTeX."""
