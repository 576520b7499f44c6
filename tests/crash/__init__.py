"""Kills commands at random moments and asks whether anything is lost, doubled, or read in halves."""
