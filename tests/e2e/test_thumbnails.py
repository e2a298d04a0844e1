"""The example module at work: 200 real pictures through two workers, one of which is killed with -9 midway."""

from __future__ import annotations

import colorsys

import pytest
from PIL import Image, ImageDraw

from tests.e2e.conftest import wait_for_status
from tests.support.waiting import eventually

PICTURES = 200


@pytest.mark.long
def test_200_pictures_come_out_right_though_a_worker_is_killed(start_worker, start_scheduler, enqueue, tmp_path):
    from tasks.models import Task

    pictures, thumbnails = tmp_path / "pictures", tmp_path / "thumbnails"
    pictures.mkdir()
    for number in range(PICTURES):
        _draw(number).save(pictures / f"{number:03}.jpg", quality=90)
    load = {"DTQ_HANDLERS": "docs.examples.thumbnails"}
    start_scheduler(**load)
    doomed, survivor = start_worker("--name", "doomed", **load), start_worker("--name", "survivor", **load)

    enqueue("make-thumbnails", {"folder": str(pictures), "target_folder": str(thumbnails), "size": 64})
    eventually(lambda: Task.objects.filter(name="make-thumbnail", status="COMPLETED").count() > PICTURES / 4, 60)
    doomed.clear_away()

    made = Task.objects.filter(name="make-thumbnail")
    eventually(lambda: made.filter(status="COMPLETED").count() == PICTURES, 90)
    assert made.count() == PICTURES
    for number in range(PICTURES):
        _assert_same_picture(_draw(number), Image.open(thumbnails / f"{number:03}.jpg"))
    assert survivor.running
    wait_for_status(Task.objects.get(name="make-thumbnails"), "COMPLETED")


def _draw(number: int) -> Image.Image:
    """A picture that is unlike all others: a coloured ground, a band at a height of its own, wider or taller."""
    size = (640, 360) if number % 2 else (300, 500)
    picture = Image.new("RGB", size, _colour(number))
    top = size[1] * (number % 10) // 12
    ImageDraw.Draw(picture).rectangle((0, top, size[0], top + size[1] // 6), fill=_colour(number + 100))
    return picture


def _colour(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618 % 1, 0.8, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


def _assert_same_picture(original: Image.Image, thumbnail: Image.Image) -> None:
    assert max(thumbnail.size) == 64
    assert abs(thumbnail.width / thumbnail.height - original.width / original.height) < 0.05
    expected = original.resize((8, 8), Image.Resampling.BOX)
    found = thumbnail.convert("RGB").resize((8, 8), Image.Resampling.BOX)
    for pair in zip(expected.tobytes(), found.tobytes(), strict=True):
        assert abs(pair[0] - pair[1]) < 40
