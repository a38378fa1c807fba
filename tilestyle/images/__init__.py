"""Images of any size: bands of sRGB pixels in, tiled TIFF, OME-Zarr or deep zoom out."""

from tilestyle.images.color import srgb_profile
from tilestyle.images.deepzoom import write_deepzoom
from tilestyle.images.formats import output_format
from tilestyle.images.ome_zarr import write_ome_zarr
from tilestyle.images.source import Source, open_source
from tilestyle.images.tiff_writer import write_tiff

__all__ = [
    "Source",
    "open_source",
    "output_format",
    "srgb_profile",
    "write_deepzoom",
    "write_ome_zarr",
    "write_tiff",
]
