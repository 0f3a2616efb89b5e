"""Values that settings refuse."""

from __future__ import annotations

import pytest
from traitlets import TraitError

from aca_kernel.settings import AcaKernel, Duration

TIMES = [name for name, one in AcaKernel.class_traits().items() if isinstance(one, Duration)]


@pytest.mark.parametrize("name", TIMES)
def test_a_time_is_a_number_and_may_have_no_end(name: str) -> None:
    settings = AcaKernel()
    for wrong in (float("nan"), -1.0):
        with pytest.raises(TraitError, match=name):
            setattr(settings, name, wrong)
    setattr(settings, name, float("inf"))
