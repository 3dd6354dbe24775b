"""Refuse anything but an editable install: the packages have generic names."""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CheckoutOnly(BuildHookInterface):
    """Stops a wheel build, which would put `flows`, `sources` ... into someone's site-packages."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Allow `pip install -e .` only."""
        if version != "editable":
            raise SystemExit("calabash runs from its checkout: use `pip install -e .` (see README.md)")
