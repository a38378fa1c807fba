"""Images of any size: bands of sRGB pixels in, tiled TIFF out."""

from tilestyle.images.color import srgb_profile
from tilestyle.images.source import Source, open_source
from tilestyle.images.tiff_writer import write_tiff

__all__ = ["Source", "open_source", "srgb_profile", "write_tiff"]
