"""What can go wrong with a job on a cluster, as one kind of error."""

from mammo_monai.errors import MammoError


class ClusterError(MammoError):
    """A job on a cluster cannot begin, go on or end; the message says what to do."""
