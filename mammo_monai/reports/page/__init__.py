"""The HTML report on runs, part by part, and the shell that every other page shares."""
