"""One parsed page of a TIFF: what is read of it, and what its tags leave open."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from tifffile import COMPRESSION, PHOTOMETRIC, TIFF, TiffPage

from tilestyle.config import Input
from tilestyle.errors import UserError, refusal
from tilestyle.images.limits import check_size
from tilestyle.images.tiff_codec import NO_MEMORY, one_line
from tilestyle.images.tiff_samples import Samples, read_samples

LOG = logging.getLogger(__name__)

_COMPRESSIONS = {
    COMPRESSION.NONE,
    COMPRESSION.LZW,
    COMPRESSION.ADOBE_DEFLATE,
    COMPRESSION.DEFLATE,
    COMPRESSION.PACKBITS,
    COMPRESSION.JPEG,
    COMPRESSION.CCITTRLE,
    COMPRESSION.CCITTFAX3,
    COMPRESSION.CCITTFAX4,
    COMPRESSION.ZSTD,
    COMPRESSION.WEBP,
}
_PREDICTED = {
    COMPRESSION.LZW,
    COMPRESSION.ADOBE_DEFLATE,
    COMPRESSION.DEFLATE,
    COMPRESSION.ZSTD,
}
_INCH_BY_UNIT = {2: 1.0, 3: 2.54}
_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION = 274, 282, 283
_NDPI = 65420
_UINT, _HORIZONTAL, _FLOATING = 1, 2, 3
_STACK = re.compile(r"ImageJ=.*?^images=(\d{1,9})", re.DOTALL | re.MULTILINE)


@contextmanager
def header_errors(name: str) -> Iterator[None]:
    """Turn whatever the parser raises on a hostile header into one TIFF_CORRUPT."""
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise refusal("TIFF_TOO_BIG", name, *NO_MEMORY) from error
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}); check its disk") from error
    except Exception as error:
        problem = f"the header cannot be read ({one_line(error)})"
        raise refusal("TIFF_CORRUPT", name, problem, "export the image again") from error


def check_page(page: TiffPage, options: Input, name: str) -> None:
    """Refuse a size, a kind or a compression that is not read.

    Raises:
        UserError: TIFF_CORRUPT, TIFF_TOO_BIG, TIFF_LAYOUT, TIFF_MULTIPAGE or TIFF_COMPRESSION.
    """
    width, height = page.imagewidth, page.imagelength
    if width < 1 or height < 1:
        problem = f"the size is {width} x {height} pixels"
        raise refusal("TIFF_CORRUPT", name, problem, "export the image again")
    if _NDPI in page.tags:
        problem = "it is a slide in NDPI, which only looks like TIFF"
        raise refusal("TIFF_LAYOUT", name, problem, "export a region or level of it as TIFF")
    check_size(width, height, options, name=name, code="TIFF_TOO_BIG")
    if page.compression not in _COMPRESSIONS:
        label = getattr(page.compression, "name", page.compression)
        problem = f"the compression {label} is not supported"
        raise refusal("TIFF_COMPRESSION", name, problem, "save the image with LZW or deflate")
    if options.page is None:
        _check_stack(page, name)


def _check_stack(page: TiffPage, name: str) -> None:
    """Refuse a stack of ImageJ whose other planes follow the first one without a directory."""
    told = _STACK.match(page.description)
    count = int(told[1]) if told and page.compression == COMPRESSION.NONE else 1
    # Others may have kept the description of a stack for one plane of it.
    if count > 1 and page.parent.filehandle.size >= count * page.nbytes:
        problem = f"it is a stack of {count} planes"
        raise refusal("TIFF_MULTIPAGE", name, problem, "choose its first with --page 1")


def settled_samples(page: TiffPage, name: str) -> Samples:
    """Read what the samples are, and tell the decoder what tags leave open or get wrong.

    Raises:
        UserError: As `read_samples`, or TIFF_COMPRESSION for the predictor.
    """
    samples = read_samples(page, name=name)
    if samples.dropped:
        LOG.warning("%s: %d extra channels are left out", name, samples.dropped)
    page.photometric = samples.photometric
    if page.photometric != PHOTOMETRIC.YCBCR:
        page.subsampling = None  # a tag that some converters to RGB leave behind
    if not samples.is_float and page.sampleformat != _UINT:
        page.sampleformat = _UINT
        page.dtype = page._dtype = np.dtype(TIFF.SAMPLE_DTYPES[_UINT, samples.bits])
    if page.compression not in _PREDICTED:
        page.predictor = 1
    possible = (1, _HORIZONTAL, _FLOATING) if samples.is_float else (1, _HORIZONTAL)
    if page.predictor not in possible or (page.predictor != 1 and samples.bits not in (8, 16, 32)):
        problem = (
            f"predictor {int(page.predictor)} of samples of {samples.bits} bits is not supported"
        )
        raise refusal("TIFF_COMPRESSION", name, problem, "save the image without a predictor")
    return samples


def orientation_of(page: TiffPage, name: str) -> int:
    """The orientation, 1 to 8; upright if the tag has no meaning."""
    value = page.tags.valueof(_ORIENTATION, 1)
    if value in range(1, 9):
        return int(value)
    LOG.warning("%s: the orientation %s has no meaning, it is taken for upright", name, value)
    return 1


def dpi_of(page: TiffPage, *, vertical: bool) -> float | None:
    """Dots per inch of an axis as stored; None if the tag or its unit tells none."""
    inch = _INCH_BY_UNIT.get(page.resolutionunit)
    value = page.tags.valueof(_Y_RESOLUTION if vertical else _X_RESOLUTION)
    if inch is None or not isinstance(value, tuple) or len(value) != 2:
        return None
    dots, per = value
    return dots / per * inch if dots > 0 and per > 0 else None
