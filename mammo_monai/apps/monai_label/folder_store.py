"""A folder of mammograms as MONAI Label's datastore: images by their own suffixes, labels as JSON."""

from __future__ import annotations

from pathlib import Path

from monailabel.datastore.local import LocalDatastore

from mammo_monai.readers.annotations.annotated import IMAGE_SUFFIXES, bare_name
from mammo_monai.readers.folder.files import is_image

LABEL_SUFFIXES = (".json", ".nii.gz", ".nii")


class MammogramFolder(LocalDatastore):  # type: ignore[misc]  # monailabel carries no types
    """The images at the top of a folder; an image's id is its file name without suffix.

    MONAI Label's own class takes one list of patterns for images and labels, none for files without suffix,
    and cuts UIDs at their dots.

    Args:
        folder: with the images; labels/ and datastore_v2.json are kept in it.
        auto_reload: watch the folder for files that others write.
    """

    def __init__(self, folder: Path, *, auto_reload: bool = True, read_only: bool = False) -> None:
        patterns = [f"*{suffix}" for suffix in (*IMAGE_SUFFIXES, *LABEL_SUFFIXES)]
        super().__init__(str(folder), extensions=patterns, auto_reload=auto_reload, read_only=read_only)

    @property
    def folder(self) -> Path:
        """Where the images and labels lie."""
        return Path(self._datastore_path)

    def local_images(self, image_ids: list[str]) -> list[Path]:
        """The files of images, for a training to read."""
        return [Path(self.get_image_uri(each)) for each in image_ids]

    def _to_id(self, file: str) -> tuple[str, str]:
        image_id = bare_name(file)
        return image_id, file[len(image_id) :]

    def _list_files(self, path: str, patterns: list[str]) -> dict[str, str]:
        folder = Path(path)
        is_images = folder.resolve() == Path(self._datastore.image_path()).resolve()
        return {
            each.name: each.name
            for each in sorted(folder.iterdir())
            if each.is_file()
            and not each.name.startswith(".")
            and (is_image if is_images else _is_label)(each)
        }


def _is_label(path: Path) -> bool:
    return path.name.lower().endswith(LABEL_SUFFIXES)
