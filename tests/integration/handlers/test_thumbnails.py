"""The example handlers of docs/examples/thumbnails.py."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tasks import Discard, TaskCancelled

Image = pytest.importorskip("PIL.Image", reason="this needs Pillow: pip install 'dtq[examples]'")

from docs.examples import thumbnails  # noqa: E402
from docs.examples.thumbnails import make_thumbnail, make_thumbnails  # noqa: E402

RED, BLUE = (255, 0, 0), (0, 0, 255)


def draw(path: Path, width: int = 400, height: int = 200, *, mode: str = "RGB", colour=RED, **options) -> Path:
    Image.new(mode, (width, height), colour).save(path, **options)
    return path


@pytest.fixture
def make(make_context, tmp_path):
    """Runs make-thumbnail in a folder of the test's own."""

    def make(source: Path, target: str = "out/small.png", **arguments):
        return make_thumbnail(make_context(), source=str(source), target=str(tmp_path / target), **arguments)

    return make


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".webp"])
def test_a_picture_becomes_small_in_the_format_of_its_suffix(make, tmp_path, suffix):
    target = tmp_path / f"out/small{suffix}"

    result = make(draw(tmp_path / "a.png"), f"out/small{suffix}", size=100)

    assert result == {"width": 100, "height": 50, "path": str(target)}
    with Image.open(target) as small:
        assert (small.size, small.format) == ((100, 50), thumbnails.FORMATS[suffix.lower()])
    assert os.listdir(tmp_path / "out") == [target.name]


def test_a_small_picture_is_not_made_larger(make, tmp_path):
    result = make(draw(tmp_path / "a.png", 30, 20), size=4096)

    assert (result["width"], result["height"]) == (30, 20)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_picture_taken_sideways_stands_upright(make, tmp_path, suffix):
    source = tmp_path / f"a{suffix}"
    picture = Image.new("RGB", (400, 200), RED)
    picture.paste(BLUE, (200, 0, 400, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees: what is left comes to the top
    picture.save(source, exif=exif)

    result = make(source, size=100)

    assert (result["width"], result["height"]) == (50, 100)
    with Image.open(result["path"]) as small:
        top, bottom = small.convert("RGB").getpixel((25, 10)), small.convert("RGB").getpixel((25, 90))
        assert small.getexif().get(0x0112, 1) == 1
    assert (top[0] > 200, top[2] < 50, bottom[0] < 50, bottom[2] > 200) == (True,) * 4


def test_transparency_stays_where_the_format_knows_it_and_is_white_elsewhere(make, tmp_path):
    source = draw(tmp_path / "a.png", 10, 10, mode="RGBA", colour=(255, 0, 0, 0))

    with Image.open(make(source, "small.png")["path"]) as small:
        assert small.getpixel((5, 5))[3] == 0
    with Image.open(make(source, "small.jpg")["path"]) as small:
        assert small.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16"])
def test_every_kind_of_pixel_is_read(make, tmp_path, mode):
    suffix = ".jpg" if mode == "CMYK" else ".png"
    source = draw(tmp_path / f"a{suffix}", 40, 40, mode=mode, colour=0)

    for target in ("small.jpg", "small.png", "small.webp"):
        assert make(source, target, size=10)["width"] == 10


def test_it_can_run_twice(make, tmp_path):
    source = draw(tmp_path / "a.png")

    first = make(source), (tmp_path / "out/small.png").read_bytes()
    second = make(source), (tmp_path / "out/small.png").read_bytes()

    assert first == second
    assert os.listdir(tmp_path / "out") == ["small.png"]


def test_the_target_is_replaced_in_one_step(make, tmp_path, monkeypatch):
    target = tmp_path / "out/small.png"
    target.parent.mkdir()
    target.write_bytes(b"earlier")

    def fail(self, file, format):
        file.write(b"half")
        raise OSError("disk full")

    source = draw(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "save", fail)

    with pytest.raises(OSError, match="disk full"):
        make(source)

    assert target.read_bytes() == b"earlier"
    assert os.listdir(tmp_path / "out") == ["small.png"]


@pytest.mark.parametrize("size", [0, -1, 4097, 1.5, "big", True, None])
def test_a_bad_size_is_discarded(make, tmp_path, size):
    with pytest.raises(Discard) as ended:
        make(draw(tmp_path / "a.png"), size=size)

    assert ended.value.reason == f"size must be a whole number from 1 to 4096, not {size!r}."
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("target", ["small", "small.gif", "small.png.sh"])
def test_only_pictures_are_written(make, tmp_path, target):
    with pytest.raises(Discard) as ended:
        make(draw(tmp_path / "a.png"), target)

    assert ended.value.reason == f"{tmp_path / target} has no suffix of a picture: use one of .jpg, .jpeg, .png, .webp."
    assert os.listdir(tmp_path) == ["a.png"]


def test_only_pictures_are_read(make, tmp_path):
    source = tmp_path / "secrets.png"
    source.write_text("password")

    with pytest.raises(Discard) as ended:
        make(source)

    assert ended.value.reason == f"{source} is no JPEG, PNG or WebP picture."
    assert os.listdir(tmp_path) == ["secrets.png"]


def test_a_picture_is_not_replaced_by_its_thumbnail(make, tmp_path):
    source = draw(tmp_path / "a.png")
    before = source.read_bytes()

    with pytest.raises(Discard, match="would be replaced by its thumbnail"):
        make(tmp_path / "out/../a.png", "a.png")

    assert source.read_bytes() == before


@pytest.mark.parametrize(("width", "height"), [(10_001, 5_000), (15_000, 15_000)])
def test_a_bomb_is_refused_before_it_is_unpacked(make, tmp_path, monkeypatch, width, height):
    source = draw(tmp_path / "bomb.png", width, height, mode="1", colour=0)
    monkeypatch.setattr(Image.Image, "thumbnail", lambda self, size: pytest.fail("unpacked"))

    with pytest.raises(Discard, match=r"bomb\.png (has|is too large)"):
        make(source)

    assert os.listdir(tmp_path) == ["bomb.png"]


def test_a_missing_or_unfinished_source_is_a_failed_attempt(make, tmp_path):
    whole = draw(tmp_path / "a.jpg", 2000, 2000).read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(FileNotFoundError):
        make(tmp_path / "absent.png")
    with pytest.raises(OSError, match="truncated"):
        make(tmp_path / "a.jpg")


def test_a_cancelled_task_writes_nothing(make, tmp_path, sink):
    source = draw(tmp_path / "a.png")
    sink.cancelled = True

    with pytest.raises(TaskCancelled):
        make(source)

    assert os.listdir(tmp_path) == ["a.png"]


def test_a_folder_becomes_one_task_for_each_picture(make_context, tmp_path, sink):
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()

    result = make_thumbnails(make_context(task_id="t"), folder=str(tmp_path), target_folder="/small", size=64)

    assert result == {"enqueued": 2}
    assert [(each.name, each.payload, each.idempotency_key) for each in sink.requests] == [
        (
            "make-thumbnail",
            {"source": str(tmp_path / name), "target": f"/small/{name}", "size": 64},
            f"t:{hashlib.sha256(name.encode()).hexdigest()[:32]}",
        )
        for name in ("a.jpg", "b.PNG")
    ]
    assert [told for told in sink.told if told not in sink.requests] == [50.0, 100.0]


def test_a_folder_enqueued_again_asks_for_the_same_keys(make_context, tmp_path, sink):
    draw(tmp_path / "a.png")

    for attempt in (1, 2):
        make_thumbnails(make_context(attempt=attempt), folder=str(tmp_path), target_folder="/small")

    assert sink.requests[0] == sink.requests[1]


@pytest.mark.parametrize(
    ("folder", "target", "reason"),
    [
        ("", "", "The thumbnails would replace their pictures: choose another target_folder."),
        ("absent", "small", "{folder} is no folder."),
    ],
)
def test_a_folder_that_cannot_be_done_is_discarded(make_context, tmp_path, sink, folder, target, reason):
    with pytest.raises(Discard) as ended:
        make_thumbnails(make_context(), folder=str(tmp_path / folder), target_folder=str(tmp_path / target))

    assert ended.value.reason == reason.format(folder=tmp_path / folder)
    assert sink.requests == []
