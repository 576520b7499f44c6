"""Disks that fill, shares that vanish, clocks that jump, two commands at once: against the commands."""
