"""Which requirements are met, where what is installed, or asked for, is odd."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.version import InvalidVersion

from aca_kernel.remote.packages.unmet import unmet


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(site: Path, name: str, version: str) -> None:
    folder = site / f"{name}-0.dist-info"
    folder.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (folder / "METADATA").write_text(metadata)
    importlib.invalidate_caches()


@pytest.mark.parametrize("version", ["unknown", "1.0-local-build"])
def test_a_version_that_is_none_is_not_met(version: str, site: Path) -> None:
    install(site, "aca_odd", version)
    install(site, "aca_even", "2.0")
    assert unmet(["aca-odd", "Aca.Even>=2"]) == ["aca-odd"]


def test_a_marker_that_nobody_can_compare_is_left_to_the_installer(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As packaging has it before 24, for a release of Linux that is no version."""

    def evaluate(self: Marker, environment: object = None) -> bool:
        raise InvalidVersion("Invalid version: '6.1.0-cloud'")

    monkeypatch.setattr(Marker, "evaluate", evaluate)
    install(site, "aca_even", "2.0")
    asked = "aca-even>=2 ; platform_release >= '6'"
    assert unmet([asked]) == []
    assert unmet(["aca-none ; platform_release >= '6'"]) == ["aca-none ; platform_release >= '6'"]
    assert unmet(["aca-even"], ["aca-even<2 ; platform_release >= '6'"]) == ["aca-even"]
