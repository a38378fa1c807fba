"""What a file says of its picture besides the pixels, as far as it goes along to the result."""

from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

Unit: TypeAlias = Literal["inch", "cm", "none"]

_INCHES = {"inch": Fraction(1), "cm": Fraction(254, 100)}
_LARGEST = 2**32 - 1


def text_of(data: bytes) -> str:
    """The text of a tag of type ASCII: UTF-8, or else Windows' Latin-1.

    NULs end its parts, of which Exif's Copyright has two: photographer and editor. They are joined,
    since a NUL within a text is one that libtiff warns of.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return "; ".join(part.rstrip(" ") for part in text.split("\0") if part.strip(" "))


@dataclass(frozen=True)
class Resolution:
    """Pixels of a unit of length, exactly as a file has them.

    Attributes:
        x: To the right.
        y: Down.
        unit: "none": they are but the shape of a pixel.
    """

    x: Fraction
    y: Fraction
    unit: Unit

    @classmethod
    def of_dpi(cls, dpi: float) -> "Resolution":
        """The same in both directions, the simplest fraction near a float.

        Raises:
            ValueError: It is not above 0 and below 2**32.
        """
        if not 0 < dpi <= _LARGEST:
            raise ValueError(f"dpi is {dpi}, it must be positive")
        value = Fraction(dpi).limit_denominator(min(10_000, max(1, int(_LARGEST / dpi))))
        return cls(value, value, "inch")

    def halved(self, times: int) -> "Resolution":
        """Of an image halved so often: the nearest fractions of 32 bits that are not 0."""
        if not times:
            return self
        return Resolution(_short(self.x / 2**times), _short(self.y / 2**times), self.unit)

    @property
    def dpi(self) -> float | None:
        """Dots per inch to the right; None without a unit."""
        return float(self.x * _INCHES[self.unit]) if self.unit in _INCHES else None


def _short(value: Fraction) -> Fraction:
    """The nearest fraction to a positive value whose numerator and denominator have 32 bits."""
    denominator = max(1, min(_LARGEST, int(_LARGEST / value)))
    return value.limit_denominator(denominator) or Fraction(1, _LARGEST)


@dataclass(frozen=True)
class Metadata:
    """What a picture's file tells of it. Empty: nothing.

    Attributes:
        description: TIFF's ImageDescription.
        document: DocumentName.
        artist: Artist.
        copyright: Copyright.
        date: DateTime, "YYYY:MM:DD HH:MM:SS".
        xmp: The XMP packet.
        iptc: The IPTC-IIM record.
        resolution: None where the file has none.
    """

    description: str = ""
    document: str = ""
    artist: str = ""
    copyright: str = ""
    date: str = ""
    xmp: bytes = b""
    iptc: bytes = b""
    resolution: Resolution | None = None

    def to_json(self) -> dict[str, Any]:
        """As what JSON can hold."""
        tree = asdict(self)
        tree |= {"xmp": b64encode(self.xmp).decode(), "iptc": b64encode(self.iptc).decode()}
        if self.resolution:
            tree["resolution"] = [str(self.resolution.x), str(self.resolution.y)]
            tree["resolution"].append(self.resolution.unit)
        return tree

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> "Metadata":
        """The inverse of `to_json`."""
        if not tree:
            return cls()
        found = tree["resolution"]
        resolution = found and Resolution(Fraction(found[0]), Fraction(found[1]), found[2])
        blobs = {name: b64decode(tree[name]) for name in ("xmp", "iptc")}
        return cls(**{**tree, **blobs, "resolution": resolution})
