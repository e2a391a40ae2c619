"""Patches of skin colour, of about a face's shape. No network, so it shows the contract and little else."""

import cv2
import numpy as np

from facestream.stream.types import Detections
from skin_detector.card import SKIN

LOW, HIGH = (80, 140, 77), (255, 173, 125)  # luma, red and blue difference
SPOT = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


class SkinDetector:
    name = SKIN.name

    def __init__(self, *, size=None, threshold=None, batch_size=None):
        self.size = size or SKIN.input_size
        self.threshold = SKIN.threshold if threshold is None else threshold
        self.batch_size = batch_size or SKIN.batch

    def load(self, device):
        """A network would fetch its weights here and move to the device."""

    def pre_process(self, images):
        """Frames of any sizes → a feed for infer: here small pictures, and the scale of each."""
        scales = [min(1.0, self.size / max(image.shape[:2])) for image in images]
        sizes = [[max(1, round(edge * scale)) for edge in image.shape[1::-1]] for image, scale in zip(images, scales)]
        return [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image, size in zip(images, sizes)], scales

    def infer(self, feed):
        """The only verb that may use the device."""
        return [cv2.inRange(cv2.cvtColor(small, cv2.COLOR_BGR2YCrCb), LOW, HIGH) for small in feed[0]]

    def post_process(self, raw, feed):
        """What infer gave → one Detections a frame, in that frame's own pixels, best first."""
        return [self._faces(skin, scale) for skin, scale in zip(raw, feed[1])]

    def _faces(self, skin, scale):
        skin = cv2.morphologyEx(skin, cv2.MORPH_OPEN, SPOT)
        x, y, width, height, area = cv2.connectedComponentsWithStats(skin)[2][1:].T.astype(np.float32)
        scores = area / (width * height)  # a face fills most of its box
        shaped = (scores >= self.threshold) & (height > width) & (height < 2 * width) & (area > skin.size / 500)
        boxes = np.stack([x, y, x + width, y + height], 1)[shaped] / np.float32(scale)
        order = np.argsort(-scores[shaped])
        return Detections(boxes[order], scores[shaped][order])
