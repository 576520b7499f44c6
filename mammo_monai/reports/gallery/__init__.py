"""Findings of runs one by one: which are shown, as crops of the image or as cards."""
