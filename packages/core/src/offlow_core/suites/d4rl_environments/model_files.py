"""Parts of the libraries' model files."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path


class ModelFile:
    """An XML file that a library brings along."""

    def __init__(self, path: Path):
        self._path = path
        self.root = ElementTree.parse(path).getroot()

    def part(self, place: str) -> ElementTree.Element:
        """The first element at this place below the root; ValueError where there is none."""
        found = self.root.find(place)
        if found is None:
            raise ValueError(f"{self._path}: expected an element {place}; the installed library is of another version")
        return found
