import importlib.util
from types import ModuleType

import pytest

from mammo_monai.apps import app_folder


@pytest.fixture
def stand_in() -> ModuleType:
    path = app_folder("monai-label") / "stand_in" / "pydicom_seg.py"
    spec = importlib.util.spec_from_file_location("pydicom_seg", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_imports_as_monai_label_needs_it_at_its_start(stand_in: ModuleType) -> None:
    assert not hasattr(stand_in, "__path__")


@pytest.mark.parametrize("name", ["MultiClassReader", "MultiClassWriter", "template"])
def test_a_conversion_is_told_why_it_cannot_be(stand_in: ModuleType, name: str) -> None:
    with pytest.raises(AttributeError, match=f"{name}: expected pydicom-seg, got its stand-in"):
        getattr(stand_in, name)
