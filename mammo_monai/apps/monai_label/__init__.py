"""The application for `monailabel start_server`; only an environment with MONAI Label can import it."""
