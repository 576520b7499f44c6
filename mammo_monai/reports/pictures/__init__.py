"""A mammogram to look at: loaded, small, with marks and with the breast's outline."""
