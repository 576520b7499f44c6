"""The review page: a reader decides on marks, corrects and draws them; nothing leaves the machine."""

from mammo_monai.service.review.export import Exported, export_reviews
from mammo_monai.service.review.guard import Guard
from mammo_monai.service.review.marks import ImageReview, Mark, ReviewError
from mammo_monai.service.review.server import ReviewServer
from mammo_monai.service.review.session import ReviewSession, open_review
from mammo_monai.service.review.store import ConflictError
from mammo_monai.service.review.worklist import ReviewImage, Worklist, read_worklist

__all__ = [
    "ConflictError",
    "Exported",
    "Guard",
    "ImageReview",
    "Mark",
    "ReviewError",
    "ReviewImage",
    "ReviewServer",
    "ReviewSession",
    "Worklist",
    "export_reviews",
    "open_review",
    "read_worklist",
]
