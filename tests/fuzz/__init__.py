"""Hostile bytes against all that reads files: targets, mutations, supervision, and a corpus that grows."""
