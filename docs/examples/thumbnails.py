"""Example handlers: `make-thumbnail` makes one small picture, `make-thumbnails` enqueues that for a whole folder.

Load them with DTQ_HANDLERS=docs.examples.thumbnails; they need Pillow (`.venv/bin/pip install -e '.[examples]'`). Nothing here
knows Django, so a remote worker can load them as well. Paths are those of the worker's machine, with the rights of its
user: whoever may create tasks may name any picture that this user can read and write. Only pictures are read, and only
files with a picture's suffix are written.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from tasks import Discard, TaskContext, task

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
LARGEST_SIZE = 4096
MOST_PIXELS = 50_000_000  # a few hundred kilobytes of PNG can unpack to gigabytes


@task("make-thumbnail", queue="thumbnails", max_retries=2, timeout=60, takes_context=True)
def make_thumbnail(context: TaskContext, source: str, target: str, size: int = 256) -> dict[str, Any]:
    """Write the picture `source`, upright and fitted into a square of `size` pixels, to `target`.

    The suffix of `target` chooses the format. Run again, it writes the same file again; nobody ever sees half of it.
    Returns width, height and path. Discards what cannot become a picture; a missing file is a failed attempt.
    """
    _check_size(size)
    destination = Path(target)
    picture_format = FORMATS.get(destination.suffix.lower())
    if picture_format is None:
        raise Discard(f"{target} has no suffix of a picture: use one of {', '.join(FORMATS)}.")
    if destination.resolve() == Path(source).resolve():
        raise Discard(f"{source} would be replaced by its thumbnail: choose another target.")
    thumbnail = _small_copy(Path(source), size)
    if picture_format == "JPEG":
        thumbnail = _on_white(thumbnail)
    context.checkpoint()
    destination.parent.mkdir(parents=True, exist_ok=True)
    _write(thumbnail, picture_format, destination, mark=f"{context.task_id}-{context.fencing_token}")
    return {"width": thumbnail.width, "height": thumbnail.height, "path": str(destination)}


@task("make-thumbnails", queue="thumbnails", timeout=600, takes_context=True)
def make_thumbnails(context: TaskContext, folder: str, target_folder: str, size: int = 256) -> dict[str, Any]:
    """Enqueue `make-thumbnail` for every picture in `folder`; the thumbnails keep their names in `target_folder`.

    Run again, it enqueues no picture twice: each bears a key made of this task's id. Returns how many there are.
    """
    _check_size(size)
    if Path(folder).resolve() == Path(target_folder).resolve():
        raise Discard("The thumbnails would replace their pictures: choose another target_folder.")
    if not Path(folder).is_dir():
        raise Discard(f"{folder} is no folder.")
    pictures = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in FORMATS and path.is_file())
    for number, picture in enumerate(pictures, start=1):
        payload = {"source": str(picture), "target": str(Path(target_folder) / picture.name), "size": size}
        key = hashlib.sha256(picture.name.encode(errors="surrogateescape")).hexdigest()[:32]
        context.enqueue("make-thumbnail", payload, idempotency_key=f"{context.task_id}:{key}")
        context.progress(100 * number / len(pictures))
    return {"enqueued": len(pictures)}


def _check_size(size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST_SIZE:
        raise Discard(f"size must be a whole number from 1 to {LARGEST_SIZE}, not {size!r}.")


def _small_copy(source: Path, size: int) -> Image.Image:
    """The picture, upright, in RGB or RGBA. Its dimensions are known, and refused, before any pixel is unpacked."""
    try:
        with Image.open(source, formats=sorted(set(FORMATS.values()))) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise Discard(
                    f"{source} has {picture.width} x {picture.height} pixels; at most {MOST_PIXELS:,} are read."
                )
            picture.draft(None, (2 * size, 2 * size))  # a large JPEG need not be unpacked at its full size
            small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except UnidentifiedImageError:
        raise Discard(f"{source} is no JPEG, PNG or WebP picture.") from None
    except Image.DecompressionBombError as error:
        raise Discard(f"{source} is too large: {error}") from None
    small.thumbnail((size, size))
    return ImageOps.exif_transpose(small)


def _on_white(picture: Image.Image) -> Image.Image:
    """The picture without transparency, for formats that do not know it."""
    if picture.mode == "RGB":
        return picture
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _write(picture: Image.Image, picture_format: str, target: Path, mark: str) -> None:
    """Put the file in place in one step. The mark is the attempt's own, so two that overlap do not share a file."""
    unfinished = target.with_name(f".{mark}{target.suffix}")
    try:
        with open(unfinished, "wb") as file:
            picture.save(file, picture_format)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
