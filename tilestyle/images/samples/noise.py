"""Noise that depends on nothing but coordinates and a seed.

Every function works element by element on broadcastable arrays, so any part of a picture can be
drawn alone. Lattice points are hashed from their integer coordinates; no table has to be kept and
nothing repeats, however large the picture is.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Words: TypeAlias = NDArray[np.uint32]

_PRIME_X = np.uint32(0x9E3779B1)
_PRIME_Y = np.uint32(0x85EBCA77)
_NORMAL = np.float32(1.5 / 32768)  # brings gradient noise to about -1..1
_TURN_COS, _TURN_SIN = np.float32(0.8 * 2.0), np.float32(0.6 * 2.0)


def mixed_seed(seed: int, salt: int = 0) -> int:
    """A 32 bit seed from a picture's seed and a salt that tells its parts from one another."""
    word = (seed * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF
    word = ((word ^ (word >> 31)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    return (word ^ (word >> 32)) & 0xFFFFFFFF


def _scramble(word: Words) -> Words:
    """Mix the bits of `word` in place."""
    word ^= word >> np.uint32(15)
    word *= np.uint32(0x2C1B3C6D)
    word ^= word >> np.uint32(12)
    word *= np.uint32(0x297A2D39)
    return word


def hash_cells(ix: NDArray[np.int32], iy: NDArray[np.int32], seed: int) -> Words:
    """One random 32 bit word for each cell of the integer lattice."""
    first: Words = ix.view(np.uint32) * _PRIME_X + np.uint32(mixed_seed(seed))
    return _scramble(first + iy.view(np.uint32) * _PRIME_Y)


def uniform(word: Words, part: int = 0) -> Floats:
    """Numbers in 0..1 from hashed words; each `part` gives other numbers from the same words."""
    if part:
        word = _scramble(word + np.uint32(mixed_seed(part)))
    numbers: Floats = (word >> np.uint32(8)).view(np.int32).astype(np.float32)
    return numbers * np.float32(2.0**-24)


def cells(x: Floats) -> tuple[NDArray[np.int32], Floats]:
    """The integer cell of each coordinate and the place inside that cell, 0..1."""
    floor = np.floor(x)
    return floor.astype(np.int32), x - floor


def _fade(t: Floats) -> Floats:
    return t * t * (np.float32(3) - np.float32(2) * t)


def _slope(word: Words, dx: Floats, dy: Floats) -> Floats:
    """Height above a corner of a plane whose two gradients are the signed halves of `word`.

    The words are used up.
    """
    signed = word.view(np.int32)
    height: Floats = (signed >> np.int32(16)).astype(np.float32)
    signed <<= np.int32(16)
    signed >>= np.int32(16)
    low: Floats = signed.astype(np.float32)
    low *= dy
    height *= dx
    height += low
    return height


def gradient_noise(x: Floats, y: Floats, seed: int) -> Floats:
    """Smooth noise of about -1..1 with one feature per unit of length."""
    ix, fx = cells(x)
    iy, fy = cells(y)
    left: Words = ix.view(np.uint32) * _PRIME_X + np.uint32(mixed_seed(seed))
    right: Words = left + _PRIME_X
    top: Words = iy.view(np.uint32) * _PRIME_Y
    bottom: Words = top + _PRIME_Y
    one = np.float32(1)
    gx, gy = fx - one, fy - one
    wx, wy = _fade(fx), _fade(fy)
    upper = _slope(_scramble(left + top), fx, fy)
    lower = _slope(_scramble(left + bottom), fx, gy)
    upper += (_slope(_scramble(right + top), gx, fy) - upper) * wx
    lower += (_slope(_scramble(right + bottom), gx, gy) - lower) * wx
    lower -= upper
    lower *= wy
    lower += upper
    lower *= _NORMAL
    return lower


def fbm(x: Floats, y: Floats, octaves: int, seed: int, gain: float = 0.5) -> Floats:
    """Fractal sum of gradient noise; each octave is turned, so that no lattice shows."""
    total: Floats = gradient_noise(x, y, mixed_seed(seed, 1))
    weight = 1.0
    for octave in range(2, octaves + 1):
        x, y = _TURN_COS * x - _TURN_SIN * y, _TURN_SIN * x + _TURN_COS * y
        weight *= gain
        total = total + gradient_noise(x, y, mixed_seed(seed, octave)) * np.float32(weight)
    return total


def ridged(x: Floats, y: Floats, octaves: int, seed: int, gain: float = 0.5) -> Floats:
    """Fractal sum with sharp crests, about 0..1: the shape of mountains."""
    total: Floats = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    one, weight, norm = np.float32(1), 1.0, 0.0
    carry = one + total
    for octave in range(1, octaves + 1):
        crest = one - np.abs(gradient_noise(x, y, mixed_seed(seed, octave)))
        crest = crest * crest * carry
        total = total + crest * np.float32(weight)
        carry = clamp(crest * np.float32(1.6))
        norm += weight * 0.75**octave
        x, y = _TURN_COS * x - _TURN_SIN * y, _TURN_SIN * x + _TURN_COS * y
        weight *= gain
    return total * np.float32(0.62 / norm)


def octaves_to_pixel(frequency: float, pixel: float, most: int = 16) -> int:
    """Octaves from `frequency` down to features of two pixels."""
    return max(1, min(most, 1 + int(math.log2(max(1.0, 0.5 / (frequency * pixel))))))


def clamp(x: Floats) -> Floats:
    """`x` cut to 0..1."""
    return np.minimum(np.maximum(x, np.float32(0)), np.float32(1))


def smoothstep(low: float, high: float, x: Floats) -> Floats:
    """0 below `low`, 1 above `high` (or the reverse), smooth between."""
    t = clamp((x - np.float32(low)) * np.float32(1.0 / (high - low)))
    return t * t * (np.float32(3) - np.float32(2) * t)
