"""The third-party files that the pages load are the ones that the manifests name, and call nobody."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[3] / "dtq_site" / "static" / "dtq"
FOLDERS = [STATIC / "graphiql", STATIC / "uplot"]
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def manifest(folder: Path) -> list[dict[str, str]]:
    return json.loads((folder / "manifest.json").read_text())["files"]


@each_folder
def test_every_file_is_in_the_manifest_with_its_hash(folder: Path):
    listed = {each["file"]: each["sha256"] for each in manifest(folder)}
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.suffix in (".js", ".css")
    }

    assert there == listed


@each_folder
def test_every_package_has_its_licence(folder: Path):
    licences = (folder / "LICENSES.txt").read_text()

    for each in manifest(folder):
        assert f"\n{each['package']} {each['version']}\n" in licences


@each_folder
def test_no_file_refers_to_a_source_map_or_to_a_font_elsewhere(folder: Path):
    for each in manifest(folder):
        text = (folder / each["file"]).read_text()
        assert "sourceMappingURL" not in text
        assert "@import" not in text
        assert "@font-face" not in text
