"""The policies' changes of light, of one image after the other while it is in the cache: loops for Numba, which `passes` hands out.

Each says what the function of its name in `light` says.
"""

import numpy as np
from numba import njit

BRIGHTNESS, CONTRAST, SATURATION, SHARPNESS, SOLARIZE, POSTERIZE, STRETCH, EQUALIZE = range(8)


@njit(cache=True, nogil=True, error_model="numpy")
def lights(x, codes, numbers, luma):  # (N, C, rows, columns) of floats, changed in place; (N, K) both; (C,)
    """Change codes[i, k], none if it is below 0, by numbers[i, k] of image i, for each k."""
    for i in range(len(x)):
        image = x[i]
        pixels = image.reshape(image.size)
        for k in range(codes.shape[1]):
            code, number = codes[i, k], x.dtype.type(numbers[i, k])
            if code == BRIGHTNESS:
                blend(pixels, number, 0)
            elif code == CONTRAST:
                blend(pixels, number, mean_gray(image, luma))
            elif code == SATURATION and len(image) == 3:
                saturation(image, number, luma)
            elif code == SHARPNESS:
                sharpness(image, number)
            elif code == SOLARIZE:
                solarize(pixels, number)
            elif code == POSTERIZE:
                posterize(pixels, number)
            elif code == STRETCH:
                stretch(image)
            elif code == EQUALIZE:
                equalize(image)


@njit(nogil=True, inline="always")
def inside(value, zero, one):
    value = zero if value < zero else value
    return one if value > one else value


@njit(nogil=True)
def blend(pixels, factor, gray):
    number = pixels.dtype.type
    zero, one, start = number(0), number(1), number(gray - factor * gray)
    for k in range(len(pixels)):
        pixels[k] = inside(pixels[k] * factor + start, zero, one)


@njit(nogil=True, error_model="numpy", fastmath={"reassoc"})
def mean_gray(image, luma):
    found, size = image.dtype.type(0), image.shape[1] * image.shape[2]
    for c in range(len(image)):
        plane, total = image[c].reshape(size), image.dtype.type(0)
        for k in range(size):
            total += plane[k]
        found += luma[c] * total / size
    return image.dtype.type(found)


@njit(nogil=True, error_model="numpy")
def saturation(image, factor, luma):
    number = image.dtype.type
    zero, one, rest = number(0), number(1), number(1 - factor)
    red, green, blue = image[0].reshape(-1), image[1].reshape(-1), image[2].reshape(-1)
    shares = number(luma[0]), number(luma[1]), number(luma[2])
    for k in range(len(red)):
        gray = rest * (shares[0] * red[k] + shares[1] * green[k] + shares[2] * blue[k])
        red[k] = inside(red[k] * factor + gray, zero, one)
        green[k] = inside(green[k] * factor + gray, zero, one)
        blue[k] = inside(blue[k] * factor + gray, zero, one)


@njit(nogil=True, error_model="numpy")
def sharpness(image, factor):
    channels, rows, columns = image.shape
    number = image.dtype.type
    zero, one, four, rest = number(0), number(1), number(4), number((1 - factor) / 13)
    old = np.empty((rows, columns), image.dtype)
    for c in range(channels):
        plane = image[c]
        for r in range(rows):
            for k in range(columns):
                old[r, k] = plane[r, k]
        for r in range(1, rows - 1):
            upper, middle, lower, line = old[r - 1], old[r], old[r + 1], plane[r]
            for k in range(1, columns - 1):
                near = upper[k - 1] + upper[k] + upper[k + 1] + middle[k - 1] + middle[k] + middle[k + 1]
                near += lower[k - 1] + lower[k] + lower[k + 1] + four * middle[k]
                line[k] = inside(middle[k] * factor + near * rest, zero, one)


@njit(nogil=True, error_model="numpy")
def solarize(pixels, threshold):
    one = pixels.dtype.type(1)
    for k in range(len(pixels)):
        pixels[k] = one - pixels[k] if pixels[k] >= threshold else pixels[k]


@njit(nogil=True, error_model="numpy")
def posterize(pixels, bits):
    number = pixels.dtype.type
    step, unit = number(2.0 ** (8 - bits)), number(255)
    for k in range(len(pixels)):
        pixels[k] = np.floor(np.rint(pixels[k] * unit) / step) * step / unit


@njit(nogil=True, error_model="numpy", fastmath=True)
def stretch(image):
    for c in range(len(image)):
        pixels = image[c].reshape(-1)
        low = high = pixels[0]
        for k in range(len(pixels)):
            low, high = min(low, pixels[k]), max(high, pixels[k])
        if high > low:
            for k in range(len(pixels)):
                pixels[k] = (pixels[k] - low) / (high - low)


@njit(nogil=True, error_model="numpy")
def equalize(image):
    number = image.dtype.type
    for c in range(len(image)):
        pixels = image[c].reshape(-1)
        levels, counts = np.empty(len(pixels), np.uint8), np.zeros(256, np.int64)
        for k in range(len(pixels)):
            levels[k] = np.uint8(np.int32(np.rint(pixels[k] * number(255))))
        for k in range(len(pixels)):
            counts[levels[k]] += 1
        lowest = counts[levels.min()]
        table, below = np.empty(256, image.dtype), 0
        for k in range(256):
            below += counts[k]
            table[k] = (below - lowest) / (len(pixels) - lowest) if lowest < len(pixels) else k / 255
        for k in range(len(pixels)):
            pixels[k] = table[levels[k]]
