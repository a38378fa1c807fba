"""Images of any size: bands of sRGB pixels in, TIFF, OME-Zarr or deep zoom out."""

from tilestyle.images.color import srgb_profile
from tilestyle.images.deepzoom import write_deepzoom
from tilestyle.images.formats import output_format
from tilestyle.images.ome_zarr import write_ome_zarr
from tilestyle.images.source import Source, open_source
from tilestyle.images.tiff_layout import plan_layout
from tilestyle.images.tiff_tags import Tags
from tilestyle.images.tiff_writer import write_tiff

__all__ = [
    "Source",
    "Tags",
    "open_source",
    "output_format",
    "plan_layout",
    "srgb_profile",
    "write_deepzoom",
    "write_ome_zarr",
    "write_tiff",
]
