import numpy as np
import pytest

from mammo_monai.reports.saliency.colours import heat_over_film
from mammo_monai.reports.saliency.pictures import ExplainedFilm, capture_picture, crop_pair, overlay_picture


def shown(width: int = 300, height: int = 420, *, has_box: bool = True) -> ExplainedFilm:
    film = np.full((height, width), 0.4, dtype=np.float32)
    film[:, : width // 2] = 0.0
    values = np.zeros_like(film)
    values[100:120, 200:230] = 1.0
    return ExplainedFilm(film, values, (195.0, 95.0, 235.0, 125.0) if has_box else None, 0.73, "gradcam")


def test_where_nothing_is_salient_the_film_is_untouched() -> None:
    picture = heat_over_film(shown().film, shown().values)
    assert (picture[300:, 200] == 102).all()
    assert (np.ptp(picture[110, 210].astype(int)) > 50).all()  # colour, not grey
    with pytest.raises(ValueError, match=r"shape \(2, 3\) does not fit"):
        heat_over_film(shown().film, np.zeros((2, 3), dtype=np.float32))


def test_the_capture_has_the_films_rows_and_columns_and_its_legend_in_the_dark() -> None:
    picture = capture_picture(shown())
    assert picture.shape == (420, 300, 3)
    assert picture.dtype == np.uint8
    plain = heat_over_film(shown().film, shown().values)
    changed = np.argwhere((picture != plain).any(axis=2))
    away_from_box = changed[(changed[:, 0] > 140) | (changed[:, 0] < 60)]
    assert len(away_from_box) > 100  # the legend
    assert away_from_box[:, 1].max() < 150  # in the dark half
    assert (picture[110, 210] == plain[110, 210]).all()  # the map within the box is not drawn over


def test_a_film_too_small_for_a_legend_gets_none() -> None:
    small = ExplainedFilm(
        np.zeros((30, 70), np.float32), np.zeros((30, 70), np.float32), None, 0.5, "gradcam"
    )
    assert capture_picture(small).shape == (30, 70, 3)


def test_the_overlay_keeps_the_films_shape_above_a_legend() -> None:
    wide = overlay_picture(shown(4000, 2000))
    assert wide.width == 960
    assert wide.height > 480
    assert np.asarray(wide)[500:].max() > 200  # letters and colour bar


def test_crops_show_the_same_place_with_and_without_the_map() -> None:
    plain, heat = crop_pair(shown())
    assert plain.size == heat.size == (384, 384)
    assert np.ptp(np.asarray(plain).astype(int), axis=2).max() == 0
    assert np.ptp(np.asarray(heat).astype(int), axis=2).max() > 50
    whole, _ = crop_pair(shown(has_box=False))
    assert whole.size == (274, 384)
