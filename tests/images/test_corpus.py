"""Every file of the corpus gives its pixels, or is refused with its code in one line."""

from pathlib import Path

import numpy as np
import pytest

from tests.images.corpus import Case, cases
from tests.images.damage import Damage, damages
from tilestyle.errors import UserError
from tilestyle.images import open_source

CASES, DAMAGES = list(cases()), list(damages())


def test_there_are_many() -> None:
    assert len({case.data for case in CASES}) >= 120
    assert len({damage.data for damage in DAMAGES}) >= 120


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_pixels(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(case.data)
    for step in (16, 1000):
        source = open_source(path, case.options)
        found = np.concatenate(list(source.rows(step)), axis=1)
        assert found.shape == (3, source.height, source.width) == case.expected.shape
        assert found.dtype == source.dtype
        assert np.abs(found.astype(float) - case.expected).max() <= case.tolerance


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_the_code(damage: Damage, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(damage.data)
    with pytest.raises(UserError) as caught:
        for _ in open_source(path).rows(16):
            pass
    message, code = str(caught.value), caught.value.code
    assert code in damage.codes
    assert message.startswith(f"{code}: a.tif: ")
    assert "; " in message
    assert "\n" not in message
