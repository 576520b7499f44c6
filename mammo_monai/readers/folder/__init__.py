"""Reads a site's own folder of images with boxes or masks in any of the usual formats."""

from mammo_monai.readers.folder.reader import FolderOptions, read_folder

__all__ = ["FolderOptions", "read_folder"]
