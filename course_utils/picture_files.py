"""Pictures out of files as 8-bit colour: what is transparent lies on white, and grey of unknown white is refused."""

from PIL import Image


def to_colour(picture: Image.Image, name: object) -> Image.Image:
    """The opened picture in RGB, 8 bits a channel; transparent parts on white.

    Args:
        name: of its file, for the message.

    Raises:
        ValueError: for grey with more than 8 bits: Pillow would cut all of it off at white.
    """
    if picture.mode[0] in "IF":
        raise ValueError(f"{name} is grey with more than 8 bits, whose white is not known; save it as an 8-bit PNG")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
