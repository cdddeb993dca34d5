"""Names for a person, their devices and measurements that stay the same from export to export and are nobody else's."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from scripts.export.readings import Measurement


class Names:
    """UUIDs of version 5 below the installation's own; nothing of a person can be read from them."""

    def __init__(self, installation: str) -> None:
        self._space = uuid5(NAMESPACE_URL, f"urn:personal-data-platform:{installation}")
        self.person = self._name("person")

    def measurement(self, measured: Measurement) -> str:
        """The name of a measurement."""
        return self._name(f"measurement {measured.key}")

    def device(self, source: str, device: str) -> str:
        """The name of a device as a source calls it."""
        return self._name(f"device {len(source)}:{source}{device}")

    def _name(self, text: str) -> str:
        return str(uuid5(self._space, text))
