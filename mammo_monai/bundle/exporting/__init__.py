"""`bundle export`: networks as files for ONNX Runtime and OpenVINO, compared with torch."""

from mammo_monai.bundle.exporting.export import Exported, ExportOptions, ExportRefusedError, export_bundle

__all__ = ["ExportOptions", "ExportRefusedError", "Exported", "export_bundle"]
