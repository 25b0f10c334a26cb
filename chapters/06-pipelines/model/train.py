#!/usr/bin/python3
"""Trains the digit classifier of this chapter and writes weights.bin and heldout.bin beside this file.

    apt-get install python3-numpy
    apt-get download python3-sklearn && dpkg -x python3-sklearn_*.deb sklearn
    ./train.py sklearn/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz

Takes some minutes on one core. What it writes is described in README.md. Everything random is drawn from one seed, so
the same versions of Python, NumPy and BLAS write the same bytes.
"""
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the sums of a product are taken in one order

import sys
from pathlib import Path

import numpy as np

SIDE = 28  # of a drawing
VIEW = 16  # of what the network sees
INK = 64  # a pixel as dark as this belongs to the digit
HELD_OUT = 360  # the last ones of the data set
EPOCHS = 60

# --- Drawings ------------------------------------------------------------------------------------------------------

# The ways to write a digit, each a list of strokes through points of a square; a stroke that begins with "line" has
# corners, the others are smooth. FINGER was written apart from PEN, for the test only.
line = "line"
PEN = {
    0: [[[(50, 0), (15, 18), (8, 50), (18, 84), (50, 100), (84, 82), (92, 50), (84, 16), (48, 0)]],
        [[(62, 4), (28, 10), (6, 50), (24, 94), (60, 96), (92, 56), (78, 10), (50, 2), (40, 8)]]],
    1: [[[line, (50, 0), (50, 100)]], [[line, (25, 22), (52, 0), (52, 100)]],
        [[line, (25, 25), (52, 0), (52, 100)], [line, (20, 100), (84, 100)]], [[line, (66, 0), (40, 100)]]],
    2: [[[(10, 25), (28, 3), (62, 0), (84, 22), (72, 52), (40, 78), (8, 98)], [line, (8, 98), (92, 98)]],
        [[(12, 18), (48, 0), (82, 20), (70, 55), (34, 82), (10, 94), (26, 80), (54, 94), (92, 96)]],
        [[(16, 30), (30, 6), (60, 2), (78, 26), (60, 60), (14, 100)], [line, (14, 100), (88, 92)]]],
    3: [[[(10, 14), (40, 0), (78, 14), (72, 40), (40, 48)], [(40, 48), (78, 58), (86, 80), (54, 100), (8, 88)]],
        [[line, (12, 2), (84, 2), (44, 42)], [(44, 42), (80, 54), (84, 84), (46, 100), (8, 86)]],
        [[(16, 10), (56, 0), (80, 22), (62, 44), (36, 48), (70, 54), (84, 76), (60, 98), (10, 94)]]],
    4: [[[line, (58, 0), (6, 66), (94, 66)], [line, (68, 36), (68, 100)]],
        [[line, (16, 0), (12, 52), (84, 52)], [line, (76, 0), (72, 100)]],
        [[line, (68, 100), (68, 0), (6, 70), (94, 70)]],
        [[(24, 0), (12, 36), (24, 54), (74, 48)], [line, (80, 4), (70, 100)]]],
    5: [[[line, (84, 2), (22, 2), (16, 44)], [(16, 44), (52, 36), (86, 58), (78, 90), (42, 100), (8, 88)]],
        [[line, (24, 2), (20, 46)], [(20, 46), (56, 40), (84, 66), (64, 96), (12, 94)], [line, (24, 2), (86, 2)]],
        [[(86, 4), (50, 2), (26, 8), (22, 40), (60, 42), (84, 64), (70, 94), (36, 100), (10, 86)]]],
    6: [[[(72, 0), (34, 26), (12, 62), (22, 94), (56, 100), (84, 78), (72, 54), (42, 52), (14, 70)]],
        [[(80, 6), (46, 8), (16, 46), (14, 80), (44, 100), (80, 86), (80, 60), (48, 50), (16, 68)]],
        [[(40, 0), (14, 40), (14, 80), (44, 100), (74, 84), (66, 58), (36, 56), (14, 76)]]],
    7: [[[line, (8, 2), (90, 2), (40, 100)]], [[line, (8, 2), (90, 2), (44, 100)], [line, (26, 50), (84, 50)]],
        [[line, (10, 20), (10, 4), (88, 4)], [(88, 4), (58, 44), (46, 100)]],
        [[(8, 8), (48, 8), (88, 2), (66, 40), (50, 100)]]],
    8: [[[(74, 12), (44, 0), (18, 18), (38, 44), (72, 62), (80, 86), (48, 100), (16, 84), (28, 60), (66, 40), (82, 18),
          (62, 2)]],
        [[(50, 46), (22, 24), (50, 0), (78, 24), (50, 46), (16, 74), (50, 100), (84, 74), (50, 46)]],
        [[(50, 0), (24, 10), (28, 36), (50, 46), (76, 34), (74, 8), (50, 0)],
         [(50, 46), (16, 62), (20, 92), (50, 100), (82, 90), (84, 62), (50, 46)]]],
    9: [[[(82, 20), (52, 0), (18, 18), (24, 48), (58, 52), (82, 24)], [line, (82, 20), (76, 100)]],
        [[(80, 16), (46, 0), (16, 26), (36, 52), (72, 40), (80, 14), (82, 56), (66, 94), (20, 96)]],
        [[(78, 8), (40, 4), (18, 30), (40, 54), (74, 36), (80, 4)], [line, (80, 4), (48, 100)]]],
}
FINGER = {
    0: [[[(40, 3), (12, 30), (14, 72), (44, 98), (78, 80), (86, 42), (66, 8), (32, 6)]],
        [[(58, 0), (20, 26), (22, 78), (58, 100), (78, 64), (76, 24), (52, 2)]]],
    1: [[[line, (54, 2), (46, 98)]], [[line, (30, 28), (60, 2), (54, 100)]]],
    2: [[[(18, 22), (40, 2), (76, 12), (74, 42), (46, 70), (14, 96), (50, 94), (90, 98)]],
        [[line, (14, 8), (70, 2), (80, 28), (16, 92), (86, 100)]]],
    3: [[[(20, 6), (60, 4), (74, 24), (48, 44), (76, 62), (70, 90), (16, 98)]],
        [[(14, 16), (50, 2), (74, 18), (64, 38), (34, 46)], [(34, 46), (66, 50), (82, 72), (62, 96), (22, 94)]]],
    4: [[[line, (40, 2), (14, 58), (88, 60)], [line, (66, 20), (62, 98)]],
        [[line, (22, 4), (20, 46), (70, 50)], [line, (72, 2), (74, 98)]]],
    5: [[[line, (78, 4), (30, 6), (24, 42)], [(24, 42), (62, 44), (80, 70), (58, 94), (18, 96)]],
        [[line, (28, 6), (28, 48)], [(28, 48), (66, 46), (78, 76), (50, 100), (20, 90)], [line, (26, 4), (80, 8)]]],
    6: [[[(60, 2), (26, 36), (18, 76), (46, 98), (76, 80), (60, 58), (24, 72)]],
        [[(70, 10), (36, 20), (20, 60), (32, 94), (68, 94), (78, 66), (50, 54), (26, 70)]]],
    7: [[[line, (14, 6), (80, 2), (48, 98)]], [[line, (12, 4), (84, 8), (36, 100)], [line, (30, 46), (76, 50)]]],
    8: [[[(70, 16), (40, 2), (26, 24), (52, 46), (76, 72), (52, 98), (24, 78), (46, 48), (74, 22), (58, 4)]],
        [[(46, 2), (28, 22), (46, 44), (68, 22), (46, 2)], [(46, 44), (20, 70), (46, 98), (74, 74), (46, 44)]]],
    9: [[[(74, 22), (46, 4), (24, 26), (46, 50), (72, 30), (76, 10), (72, 60), (64, 98)]],
        [[(70, 14), (36, 8), (26, 40), (58, 46), (74, 16)], [line, (74, 14), (58, 98)]]],
}


def trace(stroke):
    """The points along a stroke, close together (Catmull-Rom through those that are given)."""
    if stroke[0] == line:
        return np.array(stroke[1:], float) / 100
    points = np.array(stroke, float) / 100
    points = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, 6, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(points, points[1:], points[2:], points[3:]):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack(pieces + [points[-2:-1]])


def draw(strokes, width, transform=lambda points: points):
    """A drawing as a canvas makes it: round ends and soft edges. The strokes are in pixels after `transform`."""
    x, y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    pixels = np.stack([x.ravel(), y.ravel()], 1)
    away = np.full(SIDE * SIDE, np.inf)
    for stroke in strokes:
        points = transform(trace(stroke))
        start, along = points[:-1], np.diff(points, axis=0)
        length = np.maximum((along**2).sum(1), 1e-9)
        to = pixels[:, None, :] - start
        part = np.clip((to * along).sum(2) / length, 0, 1)
        away = np.minimum(away, np.sqrt(((to - part[..., None] * along) ** 2).sum(2)).min(1))
    return (255 * np.clip(width / 2 - away + 0.5, 0, 1)).astype(np.uint8).reshape(SIDE, SIDE)


def draw_at_random(strokes, random):
    jitter = random.normal(0, 0.025, 2 * 16).reshape(16, 2)
    turn, lean = random.normal(0, 0.08), random.normal(0, 0.12)
    size = np.array([random.uniform(0.35, 0.9), 1]) * random.uniform(14, 22)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, -lean], [0, 1]]
    wave = random.normal(0, 0.03, (2, 2))

    def transform(points):
        points = points + np.sin(points @ np.array([[5.0, 3.0], [3.0, 5.0]]) + 40 * jitter[0]) @ wave
        return (points - 0.5) * size @ matrix.T + SIDE / 2 + 20 * jitter[1]

    return draw(strokes, random.uniform(1.2, 3.8), transform)


def draw_scan(scan, level, edge):
    """A drawing of 28x28 from a scan of 8x8, whose pixels say how much of them is ink (0 to 16)."""
    size = 24
    at = np.clip((np.arange(size) + 0.5) / size * 8 - 0.5, 0, 7)
    low = np.minimum(at.astype(int), 6)
    high = at - low
    # smoothly from pixel to pixel, so that the half tones give the outline back
    high = high * high * (3 - 2 * high)
    rows = scan[low] * (1 - high)[:, None] + scan[low + 1] * high[:, None]
    ink = (rows[:, low] * (1 - high) + rows[:, low + 1] * high) / 16
    drawing = np.zeros((SIDE, SIDE), np.uint8)
    drawing[2:26, 2:26] = 255 * np.clip((ink - level) / edge + 0.5, 0, 1)
    return drawing


# --- What the network sees -----------------------------------------------------------------------------------------


def frames(drawings):
    """For each drawing the middle and the larger side of the box around its ink."""
    dark = drawings >= INK
    rows, columns = dark.any(2), dark.any(1)
    top, left = rows.argmax(1), columns.argmax(1)
    bottom, right = SIDE - rows[:, ::-1].argmax(1), SIDE - columns[:, ::-1].argmax(1)
    return (left + right) / 2, (top + bottom) / 2, np.maximum(bottom - top, right - left)


def look(drawings, matrix=np.eye(2), shift=np.zeros(2)):
    """The digit in each drawing, in the middle of VIEW x VIEW pixels and 14 of them high or wide; turned and leaned by
    `matrix` and moved by `shift`. Each pixel is a mean of four, each of which lies between four of the drawing."""
    x, y, side = frames(drawings)
    count = len(drawings)
    place = (np.arange(2 * VIEW) + 0.5) / 2 - VIEW / 2
    grid = np.stack(np.meshgrid(place, place), -1).reshape(-1, 2)
    grid = (grid - np.reshape(shift, (-1, 1, 2))) @ np.broadcast_to(matrix, (count, 2, 2)) * (side / 14)[:, None, None]
    at = grid + np.stack([x, y], 1)[:, None] - 0.5
    padded = np.zeros((count, SIDE + 2, SIDE + 2), np.float32)
    padded[:, 1:-1, 1:-1] = drawings
    at = np.clip(at + 1, 0, SIDE + 0.999)
    low = at.astype(np.int32)
    u, v = np.moveaxis((at - low).astype(np.float32), 2, 0)
    i = np.arange(count)[:, None]
    column, row = low[..., 0], low[..., 1]
    ink = (padded[i, row, column] * (1 - u) + padded[i, row, column + 1] * u) * (1 - v) + (
        padded[i, row + 1, column] * (1 - u) + padded[i, row + 1, column + 1] * u) * v
    ink = ink.reshape(count, VIEW, 2, VIEW, 2).mean((2, 4)).reshape(count, -1)
    return ink / drawings.reshape(count, -1).max(1)[:, None]


def augment(drawings, random):
    count = len(drawings)
    turn, lean = random.normal(0, 0.14, count), random.normal(0, 0.15, count)
    # the inverse of how the digit changes
    wide, high = 1 / random.uniform(0.62, 1.12, count), 1 / random.uniform(0.88, 1.12, count)
    zero = np.zeros(count)
    scale = np.moveaxis(np.array([[wide, zero], [lean, high]]), 2, 0)
    rotate = np.moveaxis(np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]), 2, 0)
    return look(drawings, scale @ rotate, random.normal(0, 0.7, (count, 2)))


# --- The network ---------------------------------------------------------------------------------------------------

# Two layers of convolution, each of which halves the sides of the picture, and two that connect everything.
# (side, kernel, padding, channels in, channels out) and (in, out)
CONVOLUTIONS = [(16, 5, 2, 1, 12), (8, 3, 1, 12, 24)]
DENSE = [(4 * 4 * 24, 64), (64, 10)]


def windows(side, kernel, padding):
    """For each pixel of the result, which pixels of the padded picture it is made of."""
    row = side + 2 * padding
    corners = [y * row + x for y in range(0, side, 2) for x in range(0, side, 2)]
    within = [y * row + x for y in range(kernel) for x in range(kernel)]
    return np.add.outer(corners, within)


def unfold(x, count, side, kernel, padding):
    x = np.pad(x.reshape(count, side, side, -1), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    index = windows(side, kernel, padding)
    return x.reshape(count, -1, x.shape[3])[:, index].reshape(count * len(index), -1)


def fold(slopes, count, side, kernel, padding, channels):
    """The reverse of unfold() for slopes: each pixel gets the sum of those of all windows that it is in."""
    index = windows(side, kernel, padding)
    slopes = slopes.reshape(count, len(index), kernel * kernel, channels)
    whole = np.zeros((count, (side + 2 * padding) ** 2, channels), np.float32)
    for i in range(kernel * kernel):
        whole[:, index[:, i]] += slopes[:, :, i]
    whole = whole.reshape(count, side + 2 * padding, side + 2 * padding, channels)
    return whole[:, padding:padding + side, padding:padding + side]


def forward(parameters, x):
    """The scores, and what each layer was given and gave."""
    count, inputs, outputs = len(x), [], []
    for i in range(len(parameters) // 2):
        if i < len(CONVOLUTIONS):
            x = unfold(x, count, *CONVOLUTIONS[i][:3])
        else:
            x = x.reshape(count, -1)
        inputs.append(x)
        x = x @ parameters[2 * i] + parameters[2 * i + 1]
        if 2 * i + 2 < len(parameters):
            x = np.maximum(x, 0)
        outputs.append(x)
    return x, inputs, outputs


def softmax(scores):
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def gradients(parameters, x, y):
    scores, inputs, outputs = forward(parameters, x)
    wanted = np.full_like(scores, 0.05 / 10)
    wanted[np.arange(len(y)), y] += 0.95
    error = (softmax(scores) - wanted) / len(y)
    result = []
    for i in range(len(inputs) - 1, -1, -1):
        result = [inputs[i].T @ error, error.sum(0)] + result
        if i == 0:
            return result
        error = error @ parameters[2 * i].T
        if i < len(CONVOLUTIONS):
            error = fold(error, len(x), *CONVOLUTIONS[i][:4])
        before = parameters[2 * i - 1].size  # channels of the layer before, which gave what was not cut off at 0
        error = error.reshape(-1, before) * (outputs[i - 1] > 0)


def probabilities(parameters, x):
    return softmax(forward(parameters, x)[0])


def train(drawings, labels, random, report):
    parameters = []
    shapes = [(kernel**2 * channels, new) for _, kernel, _, channels, new in CONVOLUTIONS] + DENSE
    for fan_in, fan_out in shapes:
        parameters += [random.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out)).astype(np.float32),
                       np.zeros(fan_out, np.float32)]
    mean = [np.zeros_like(p) for p in parameters]
    square = [np.zeros_like(p) for p in parameters]
    batch, step = 256, 0
    steps = EPOCHS * (len(labels) // batch)
    for epoch in range(EPOCHS):
        order = random.permutation(len(labels))
        for first in range(0, len(labels) - batch + 1, batch):
            some = order[first:first + batch]
            slopes = gradients(parameters, augment(drawings[some], random).astype(np.float32), labels[some])
            step += 1
            rate = 0.002 * 0.5 * (1 + np.cos(np.pi * step / steps))
            for p, g, m, s in zip(parameters, slopes, mean, square):  # Adam with weight decay
                m += 0.1 * (g - m)
                s += 0.001 * (g * g - s)
                p -= rate * (m / (1 - 0.9**step) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8) + 0.005 * p)
        if epoch % 5 == 4:
            report(epoch + 1, parameters)
    return parameters


def accuracy(parameters, drawings, labels):
    return (probabilities(parameters, look(drawings).astype(np.float32)).argmax(1) == labels).mean()


def main():
    data = np.loadtxt(sys.argv[1], delimiter=",")
    scans, labels = data[:, :64].reshape(-1, 8, 8), data[:, 64].astype(int)
    random = np.random.default_rng(6)
    known = len(labels) - HELD_OUT

    drawings, digits = [], []
    for scan, label in zip(scans[:known], labels[:known]):
        for _ in range(6):
            drawings.append(draw_scan(scan, random.uniform(0.4, 0.65), random.uniform(0.3, 1)))
            digits.append(label)
    for label, ways in PEN.items():
        for i in range(300):
            drawings.append(draw_at_random(ways[i % len(ways)], random))
            digits.append(label)

    held_out = np.array([draw_scan(scan, 0.5, 1) for scan in scans[known:]])
    fingers, finger_digits = [], []
    for label, ways in FINGER.items():
        for way in ways:
            for width, wide, high in ((2, 11, 18), (3, 14, 20)):
                fingers.append(draw(way, width, lambda points: (points - 0.5) * [wide, high] + [14.5, 13.5]))
                finger_digits.append(label)
    # as they are kept: 16 levels
    held_out, fingers = (np.round(np.array(d) / 17).astype(np.uint8) * 17 for d in (held_out, fingers))
    finger_digits = np.array(finger_digits)

    def report(epoch, parameters):
        scanned, drawn = accuracy(parameters, held_out, labels[known:]), accuracy(parameters, fingers, finger_digits)
        print(f"epoch {epoch}: {100 * scanned:.2f} % of {HELD_OUT} held-out digits, {100 * drawn:.2f} % of "
              f"{len(fingers)} held-out drawings", flush=True)

    print(f"{known} digits and {300 * len(PEN)} drawings to train with", flush=True)
    parameters = train(np.array(drawings), np.array(digits), random, report)

    here = Path(__file__).resolve().parent
    with open(here / "weights.bin", "wb") as file:
        for i in range(0, len(parameters), 2):
            file.write(parameters[i].astype("<f4").tobytes() + parameters[i + 1].astype("<f4").tobytes())
    with open(here / "heldout.bin", "wb") as file:
        for label, drawing in zip([*labels[known:], *finger_digits], [*held_out, *fingers]):
            levels = drawing.ravel() // 17
            file.write(bytes([label]) + (levels[0::2] * 16 + levels[1::2]).astype(np.uint8).tobytes())


if __name__ == "__main__":
    main()
