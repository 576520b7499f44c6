"""Examples under the help of each command, two and more; a test has the parser take every one of them."""

from __future__ import annotations

from collections.abc import Mapping

# By the words after `mammo-monai`; the command itself is put before each line. Names are those of the docs.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "": (
        "doctor",
        "predict film.dcm --bundle cbis_mass_detection --fppi 0.5 -o detections.json --overlays overlays",
        "phantoms --layout inbreast --patients 20 --seed 1 --out INbreast",
        "manifest inbreast INbreast -o manifest.json",
        "train --bundle inbreast_mass_detection --manifest manifest.json --output-dir run",
        "evaluate detections.json --manifest manifest.json --split test -o metrics.json",
        "report metrics.json --manifest manifest.json -o report.html",
        "dicom sr detections.json -o results",
    ),
    "phantoms": (
        "--layout inbreast --out INbreast",
        "--layout cbis-ddsm --patients 5 --seed 1 --pixel-spacing-mm 0.28 --out CBIS-DDSM",
    ),
    "manifest": ("inbreast INbreast -o manifest.json", "check manifest.json"),
    "manifest cbis-ddsm": (
        "CBIS-DDSM -o manifest.json",
        "CBIS-DDSM -o manifest.json --split p3 --merge-overlapping",
    ),
    "manifest inbreast": (
        "INbreast -o manifest.json --types mass",
        "INbreast -o manifest.json --split fractions --fractions 0.6 0.2 0.2 --seed 1",
    ),
    "manifest vindr": (
        "VinDr-Mammo -o manifest.json --types mass",
        "VinDr-Mammo -o manifest.json --split test --workers 4",
    ),
    "manifest folder": (
        "films -o manifest.json --annotations boxes.csv --unlisted normal",
        "films -o manifest.json --format yolo --category Lump --class Cyst=other",
    ),
    "manifest coco": (
        "boxes.json -o manifest.json --images films",
        "boxes.json -o manifest.json --images films --clip-boxes --split test",
    ),
    "manifest check": ("manifest.json", "manifest.json --pictures --folds folds.json"),
    "show": ("manifest.json", "manifest.json --split test --only lesions --sort birads -o test.html"),
    "folds": (
        "make manifest.json --folds 5 -o folds.json",
        "apply manifest.json --folds folds.json --fold 1 -o fold_1.json",
    ),
    "folds make": (
        "manifest.json --folds 5 --seed 1 -o folds.json",
        "cbis.json inbreast.json --scheme s3 -o folds.json",
    ),
    "folds apply": (
        "manifest.json --folds folds.json --fold 1 -o fold_1.json",
        "cbis.json inbreast.json --folds folds.json --fold 1 --stage pretraining-b -o stage.json",
    ),
    "folds show": ("folds.json", "folds.json manifest.json"),
    "prepare": (
        "manifest.json --bundle cbis_mass_detection --out prepared",
        "manifest.json --preset full_image --size-px 800 --region global --workers 4 --out prepared",
    ),
    "normals": (
        "prepared --out normals",
        "prepared/manifest.json --split test --min-fraction 0.5 --out normals",
    ),
    "train": (
        "--bundle inbreast_mass_detection --manifest manifest.json --output-dir run",
        "--bundle cbis_mass_detection --manifest prepared/manifest.json --output-dir run --init none "
        "--epochs 5 --learning_rate 1e-4",
    ),
    "predict": (
        "film.dcm --bundle cbis_mass_detection --fppi 0.5 -o detections.json --overlays overlays",
        "films --bundle cbis_mass_detection --region global -o found.parquet",
        "manifest.json --split test --bundle inbreast_mass_detection --weights run/model.safetensors "
        "-o detections.json",
    ),
    "detections": (
        "coco results.bbox.json --annotations boxes.json --manifest manifest.json -o theirs.json",
        "yolo runs/detect/predict/labels --manifest manifest.json --split test -o theirs.json",
    ),
    "detections coco": (
        "coco_instances_results.json --annotations boxes.json --manifest manifest.json -o theirs.json",
        "results.bbox.json --annotations boxes.json --manifest manifest.json --split test --category Lump "
        "--name 'Faster R-CNN' -o theirs.json",
    ),
    "detections csv": (
        "results.csv --manifest manifest.json --split test -o theirs.json",
        "results.csv --manifest manifest.json --marked-size 800 800 --class cyst=ignore -o theirs.json",
    ),
    "detections yolo": (
        "runs/detect/predict/labels --manifest manifest.json --split test -o theirs.json",
        "labels --manifest manifest.json --class 0=mass --class 1=ignore --ignore-unknown -o theirs.json",
    ),
    "fuse": (
        "first.json second.json -o detections.json",
        "first.json second.json --fuse nms --fuse-iou 0.3 --uncalibrated -o detections.json",
    ),
    "saliency": (
        "film.dcm --bundle cbis_mass_detection -o maps",
        "manifest.json --split test --bundle cbis_mass_detection --detections detections.json --top 1 -o "
        "maps",
    ),
    "evaluate": (
        "detections.json --manifest manifest.json --split test -o metrics.json",
        "detections.json --manifest manifest.json -o metrics.json --hit center --level breast",
    ),
    "patches": (
        "run/class_scores.json",
        "run_1/class_scores.json run_2/class_scores.json --against run_3/class_scores.json "
        "run_4/class_scores.json -o patches.json",
    ),
    "calibrate": (
        "detections.json --manifest manifest.json --split validation -o operating_points.json",
        "fold_1.json fold_2.json --manifest manifest.json --method isotonic -o operating_points.json "
        "--plot points.png",
    ),
    "compare": (
        "first.json second.json --manifest manifest.json --split test",
        "first.json second.json --manifest manifest.json --name film --name digital --fppi 0.5 -o "
        "compare.html",
    ),
    "report": (
        "metrics.json --manifest manifest.json -o report.html",
        "run_1/metrics.json run_2/metrics.json --name first --name second --published -o report.pdf",
    ),
    "dicom": ("sr detections.json -o results", "echo PACS@pacs.example.org:11112"),
    "dicom sr": (
        "detections.json -o results",
        "detections.json --sources films --fppi 0.5 -o results",
    ),
    "dicom cad": (
        "detections.json -o results",
        "detections.json --sources films --fppi 0.5 -o results",
    ),
    "dicom gsps": (
        "detections.json -o results",
        "detections.json --sources films --min-score 0.4 -o results",
    ),
    "dicom sc": ("detections.json -o results", "detections.json --sources films --full-size -o results"),
    "dicom seg": (
        "detections.json -o results",
        "detections.json --reviewed --observer Example^Ann -o results",
    ),
    "dicom marks": (
        "results/film_sr.dcm -o marks.json",
        "results/left_sr.dcm results/right_sr.dcm --sources manifest.json -o marks.json",
    ),
    "dicom deidentify": (
        "films -o nameless",
        "films -o nameless --salt nameless.salt --keep longitudinal-dates",
    ),
    "dicom echo": (
        "PACS@pacs.example.org:11112",
        "PACS@pacs.example.org:2762 --tls-cert node.pem --tls-key node.key --tls-ca hospital.pem",
    ),
    "dicom find": (
        "PACS@pacs.example.org:11112 PatientID=7",
        "PACS@pacs.example.org:11112 Modality=MG StudyDate=20240101-20241231 --level series --json",
    ),
    "dicom pull": (
        "PACS@pacs.example.org:11112 PatientID=7 -o films",
        "PACS@pacs.example.org:11112 PatientID=7 --method move --listen 0.0.0.0:11112 -o films",
    ),
    "dicom send": (
        "PACS@pacs.example.org:11112 results",
        "https://pacs.example.org/dicom-web results/film_sr.dcm",
    ),
    "review": ("detections.json", "detections.json --manifest manifest.json --out reviews --export"),
    "serve": ("--check node.json", "--config node.json", "purge --config node.json --older-than 24"),
    "experiment": (
        "check experiment.json",
        "run experiment.json --folds 1-2",
        "table runs/freezing -o table.html",
    ),
    "experiment run": (
        "experiment.json",
        "experiment.json --manifest manifest.json --folds 1-3 --only frozen --workers 2 --out runs/freezing",
    ),
    "experiment sweep": ("sweep.json", "sweep.json --trials 20 --workers 2 --out runs/search"),
    "experiment table": ("runs/freezing", "runs/freezing -o table.html"),
    "experiment check": ("experiment.json", "experiment.json --manifest manifest.json --only frozen"),
    "bundle": ("list", "check cbis_mass_detection", "inspect stranger.zip"),
    "bundle list": ("", "cbis_mass_detection"),
    "bundle check": ("", "cbis_mass_detection inbreast_mass_detection"),
    "bundle sync": (
        "coco_to_cbis_mass_retinanet cbis_to_inbreast_mass_retinanet",
        "coco_to_cbis_mass_faster_rcnn cbis_to_inbreast_mass_faster_rcnn",
    ),
    "bundle publish": (
        "--bundle bundles/mine --weights run/model.safetensors",
        "--bundle bundles/mine --weights run/model.safetensors --operating-points operating_points.json "
        "--version 0.2.0",
    ),
    "bundle export": (
        "cbis_mass_detection --engine onnx -o exported",
        "cbis_mass_detection --engine openvino --int8 --calibration manifest.json --calibration-split "
        "training -o exported",
    ),
    "bundle pack": ("cbis_mass_detection", "cbis_mass_detection --wheel -o for_another_site.zip"),
    "bundle verify": (
        "cbis_mass_detection-0.1.0.zip",
        "cbis_mass_detection-0.1.0.zip --public-key publisher.pub",
    ),
    "bundle inspect": ("cbis_mass_detection", "stranger.zip --json"),
    "bundle statistics": (
        "cbis_mass_detection --manifest manifest.json -o training_statistics.json",
        "bundles/mine --manifest manifest.json --split training --false-alarm-rate 0.05",
    ),
    "bundle push": ("cbis_mass_detection shelf", "bundles/mine hf://example/mammo-mine --replace"),
    "bundle pull": (
        "cbis_mass_detection-0.1.0.zip",
        "https://packs.example.org/mine-0.2.0.zip -o bundles --require-signature",
    ),
    "bundle trust": ("bundles/mine --reason 'read by hand'", "--list"),
    "bundle key": ("new -o mammo.key", "new -o mammo.key --passphrase-file passphrase.txt"),
    "bundle sign": (
        "cbis_mass_detection-0.1.0.zip --key mammo.key",
        "cbis_mass_detection-0.1.0.zip --key mammo.key --passphrase-file passphrase.txt",
    ),
    "weights": (
        "convert retinanet.pth -o retinanet.safetensors",
        "show run/model.safetensors",
    ),
    "weights convert": (
        "retinanet.pth -o retinanet.safetensors",
        "patches.pth -o patches.safetensors --num-classes 5",
    ),
    "weights show": ("run/model.safetensors", "retinanet.safetensors"),
    "apps": ("list", "copy monai-label label_app"),
    "apps list": ("",),
    "apps path": ("monai-label", "monai-deploy"),
    "apps copy": ("monai-label label_app", "monai-deploy deploy_app"),
    "apps stock": (
        "--bundle cbis_mass_detection label_app/model",
        "--bundle cbis_mass_detection --fppi 0.5 label_app/model",
    ),
    "doctor": (
        "",
        "--only weights extras --notes",
        "--only disk machine --output results",
        "--node node.json",
        "--json",
    ),
    "completion": ("bash --install", "zsh"),
}


def examples_text(name: str) -> str:
    """The examples of a command, for the end of its help; empty where there are none.

    >>> print(examples_text("bundle list"))
    examples:
      mammo-monai bundle list
      mammo-monai bundle list cbis_mass_detection
    """
    lines = [" ".join(f"mammo-monai {name} {each}".split()) for each in EXAMPLES.get(name, ())]
    return "\n".join(["examples:", *(f"  {line}" for line in lines)]) if lines else ""
