"""What facestream needs to know before it loads the model. Keep it light: every listing of models imports this."""

from facestream.plugins.card import Card, Role

SKIN = Card(
    name="skin",
    role=Role.DETECT,
    model="skin_detector.detector:SkinDetector",
    input_size=160,
    batch=8,
    threshold=0.4,
    licence="Apache-2.0",
    files=(),  # nothing to fetch
    paper="Chai, Ngan: Face Segmentation Using Skin-Color Map in Videophone Applications. IEEE T-CSVT, 1999",
    accuracy="poor: it finds hands as well",
)
