"""A PNG file from pixels, made for speed: one filter on every row, where Pillow tries five."""

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
EIGHT_BIT, COLOUR = 8, 2
UP = 2
"""Filter: a row is stored as what differs from the row above, so that what stays the same downwards becomes zeros."""


def encode_png(pixels: np.ndarray) -> bytes:
    """The file of a picture ``(H, W, 3)`` uint8, as the PNG specification (W3C 2003) lays it out."""
    height, width, channels = pixels.shape
    colours = pixels.reshape(height, width * channels)
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = UP
    rows[0, 1:] = colours[0]
    np.subtract(colours[1:], colours[:-1], out=rows[1:, 1:])  # modulo 256, as the filter wants it
    packer = zlib.compressobj(1, strategy=zlib.Z_RLE)  # quick: the file travels to a browser on the same machine
    header = struct.pack(">IIBBBBB", width, height, EIGHT_BIT, COLOUR, 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": packer.compress(rows) + packer.flush(), b"IEND": b""}
    return SIGNATURE + b"".join(map(_chunk, parts, parts.values()))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
