"""Draw boxes, landmarks and track ids into a video.

python examples/annotate_video.py clip.mp4 annotated.mp4
"""

import asyncio
import sys

import av
import cv2

import facestream


def draw(faces: facestream.FrameFaces) -> None:
    image = faces.frame.image
    for i, (left, top, right, bottom) in enumerate(faces.boxes.astype(int).tolist()):
        cv2.rectangle(image, (left, top), (right, bottom), (80, 220, 80), 2)
        cv2.putText(image, f"#{faces.tracks[i]}", (left, top - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (80, 220, 80), 2)
        for x, y in faces.landmarks[i].astype(int).tolist():
            cv2.circle(image, (x, y), 1, (80, 220, 255), -1)


async def main(source: str, target: str) -> None:
    with av.open(target, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        async for faces in facestream.extract(source):
            draw(faces)
            if not faces.frame.seq:
                stream.width, stream.height = (edge // 2 * 2 for edge in faces.frame.size)
                stream.pix_fmt = "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(faces.frame.image, format="bgr24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
