"""What goes into a command and what comes out, for the help of those whose parser does not say so itself."""

from __future__ import annotations

from collections.abc import Mapping

_TABLES = (
    "Reads every image's header and annotation, and writes MANIFEST: training, validation and test lists "
    "with lesion boxes in pixels of the original images. Beside it come audit.csv and audit.html: what was "
    "repaired or left out, and why. No image is changed. Exit code 1: something was left out or is doubtful."
)

DESCRIPTIONS: Mapping[str, str] = {
    "manifest": "Reads a data set as it was downloaded and writes manifest.json, the list of images with "
    "their lesions that all other verbs take; or checks one that is there.",
    "manifest cbis-ddsm": f"ROOT: the folder with CBIS-DDSM's images and case tables. {_TABLES}",
    "manifest inbreast": f"ROOT: the folder with INbreast's DICOM files, contours and table. {_TABLES}",
    "manifest vindr": f"ROOT: the folder with VinDr-Mammo's images and annotation tables. {_TABLES}",
    "manifest folder": "ROOT: a folder of your own DICOM, PNG or JPEG images, with boxes or masks. "
    + _TABLES,
    "manifest coco": f"FILE: a COCO JSON with boxes. {_TABLES}",
    "detections": "Takes what another toolkit marked, and a manifest with the same images; writes "
    "detections.json in pixels of the original images, which evaluate, compare and report read as any other.",
    "detections coco": "FILE: a list of image_id, category_id, bbox (x, y, width, height) and score, or an "
    "object with images and such annotations. Where the COCO file of the images gives another size than the "
    "manifest, by one factor, boxes are scaled back; else the command stops. Every image gets an entry.",
    "detections csv": "FILE: a table with a row per mark: file name or record id, xmin, ymin, xmax, ymax or "
    "x, y, width, height in pixels, score, and a class if there are several. Every image of the manifest's "
    "list gets an entry, if an empty one.",
    "detections yolo": "DIR: the folder of text files, one per image, each line class, x, y, width, height "
    "as shares of the image, confidence. Every image of the manifest's list gets an entry, if an empty one: "
    "YOLO writes no file where it marks nothing.",
    "folds": "Deals patients into folds for cross-validation, and writes the manifest of one fold. Folds "
    "stand in a file of their own with a hash, so that every run can name them.",
    "folds make": "Takes one or more manifests and writes FILE, a folds.json: which patient is in which "
    "list of which fold. Patients with and without a mass are dealt out evenly.",
    "folds apply": "Takes the manifests that folds were made of, and writes FILE, a manifest whose lists "
    "are those of one fold.",
    "folds show": "Prints how many images and patients each list of a folds.json holds; with its "
    "manifests, masses too.",
    "dicom marks": "Takes Structured Reports, CAD reports or segmentations, of this software or another, "
    "and writes their boxes in pixels of the images they refer to, as detections.json.",
    "experiment": "Trains the runs of an experiment file over folds, scores them alike, and compares them "
    "patient by patient. A stopped run goes on where it was.",
    "experiment run": "Takes an experiment.json: bundles, overrides, folds. Writes a folder per run and "
    "fold with weights, detections.json and metrics.json. Prints one line per run.",
    "experiment table": "Takes the folder of an experiment's runs; prints and writes sensitivity with "
    "intervals, and differences from the first run with p-values.",
    "experiment sweep": "Takes an experiment.json with a sweep: which values to try. Writes trials, the "
    "best of them, and how far its figure may be too good. Test lists are held back.",
    "experiment check": "Reads an experiment.json and builds every part of its runs; trains nothing.",
    "bundle": "A bundle is one model or training: configurations, weights, model card. Lists, checks, "
    "packs, signs, fetches and inspects bundles; runs nothing in them but what you ask for.",
    "bundle list": "Prints name, state of the weights and folder of each bundle.",
    "bundle check": "Prints what is wrong with a bundle: files, metadata, ids that lead nowhere, weights "
    "of another hash. Exit code 2: there are faults.",
    "bundle sync": "Gives further bundles the wiring of the first one; their declared values stay. Prints "
    "which files it rewrote.",
    "bundle publish": "Takes a training's model.safetensors and writes it into a bundle as float16, with "
    "hash, version and lineage in metadata.json.",
    "bundle export": "Writes a bundle's network as a file for another engine, if it answers "
    "as torch does on --check's images. Exit code 1: it does not, and nothing was written.",
    "bundle pack": "Writes one zip with a bundle's files, the hash of each, and its lineage; a site's own "
    "results stay out. Prints the zip's SHA-256, to be sent by another way.",
    "bundle verify": "Prints name, hash and lineage of a pack, or what is not as it was packed. Runs "
    "nothing. Exit code 2: there are faults.",
    "bundle inspect": "Prints every class, expression, download and file that a bundle would run or touch. "
    "Runs nothing. Exit code 1: something is not on the list of what is safe.",
    "bundle statistics": "Takes the images a bundle was trained on, and writes what they look like: the "
    "breast's place, grey values, detail. `predict` then warns of images unlike them.",
    "bundle push": "Packs a bundle, or takes a pack, and puts it into a folder, to a URL that takes PUT, or "
    "into a hub repository. Prints place and SHA-256.",
    "bundle pull": "Fetches a pack, checks every hash, and puts the bundle into DIR. Refuses one that "
    "would run what is not known, unless you trust it.",
    "bundle trust": "Shows what a bundle would run, then puts it on your list of trusted ones. It is "
    "off the list as soon as one of its files changes.",
    "bundle key": "Writes a secret key into FILE and its public half into FILE.pub; minisign reads both.",
    "bundle sign": "Takes a pack and a secret key; writes the signature PACK.minisig beside the pack.",
    "weights": "Converts weights of other libraries, and shows what a weights file holds.",
    "weights convert": "Takes a checkpoint of torchvision, Detectron2 or ImageNet, and writes .safetensors "
    "that --init and --weights take. Prints which network was recognised.",
    "weights show": "Prints SHA-256, number of tensors, and metadata of a weights file: lineage, settings.",
    "apps": "Applications that run this software's bundles inside MONAI Label and MONAI Deploy. They need "
    "these platforms, in an environment of their own.",
    "apps list": "Prints name, purpose and folder of each application.",
    "apps path": "Prints the folder of an application, for `monailabel start_server --app`.",
    "apps copy": "Copies an application into DIR, where its server may write. Prints the folder.",
    "apps stock": "Writes a copy of a bundle that MONAI Label's own monaibundle app serves, into DIR.",
}
