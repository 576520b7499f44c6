"""The independent truth of a phantom image: what `truth.json` says, whatever table or XML the layout has."""

from __future__ import annotations

from pathlib import Path

from mammo_monai.geometry import contour_area_px, contour_box
from mammo_monai.phantoms.scene import MassTruth, Scene

Json = dict[str, object]


def image_truth(
    scene: Scene, *, image: str, sop_instance_uid: str, patient_id: str, split: str | None
) -> Json:
    """What is in one image.

    Args:
        image: path relative to the root, POSIX.
        split: "training" or "test" where the layout has an official one.
    """
    grid, plan = scene.grid, scene.case.plan
    return {
        "image": image,
        "sop_instance_uid": sop_instance_uid,
        "patient_id": patient_id,
        "split": split,
        "laterality": scene.case.laterality.value,
        "view_position": scene.view_position.value,
        "rows": grid.rows,
        "columns": grid.columns,
        "pixel_spacing_mm": grid.spacing_mm,
        "breast_density": plan.density,
        "masses": [_mass_truth(mass, number, grid.spacing_mm) for number, mass in enumerate(scene.masses, 1)],
        "calcifications": sum(len(group.points_mm) for group in scene.calcifications),
    }


def as_posix(path: Path, root: Path) -> str:
    """Path relative to the root with forward slashes."""
    return path.relative_to(root).as_posix()


def _mass_truth(mass: MassTruth, number: int, spacing_mm: float) -> Json:
    plan = mass.plan
    return {
        "id": str(number),
        "mask_box": list(mass.mask_box),
        "contour_box": [round(value, 6) for value in contour_box(mass.contour)],
        "mask_area_px": int(mass.mask.sum()),
        "area_mm2": round(contour_area_px(mass.contour) * spacing_mm**2, 4),
        "diameter_mm": round(plan.diameter_mm, 4),
        "depth_mm": round(mass.depth_mm, 4),
        "lateral": round(plan.lateral, 4),
        "superior": round(plan.superior, 4),
        "shape": plan.shape,
        "margin": plan.margin,
        "pathology": plan.pathology,
        "birads": plan.birads,
        "subtlety": plan.subtlety,
    }
