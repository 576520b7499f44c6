"""The MONAI Deploy application: DICOM in, marks as DICOM results out; `make deploy-env` installs its SDK."""
