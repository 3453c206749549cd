"""The core tests run at every save, hence with few examples; in CI with many."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("quick", max_examples=15, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile("thorough" if os.environ.get("GYM_P2P_REQUIRE_ALL") == "1" else "quick")
