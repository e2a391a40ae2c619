"""A training folder out of a video: only faces that are large enough and look into the camera.

python examples/training_folder.py clip.mp4 training

The pictures carry faceswap's header. `facestream alignments from-faces -c training` makes their alignments file.
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

import facestream
from facestream.io.savers import FaceSaver
from facestream.stream.device import Bridge

SMALLEST = 80  # pixels of a face's height in the frame
MOST_TURNED = 12  # degrees to either side


async def main(video: str, folder: str) -> None:
    path, found = Path(video), 0
    async with Bridge("cpu") as bridge:
        async with FaceSaver(folder, bridge, size=256, suffixes={path.stem: path.suffix}) as pictures:
            async for faces in facestream.extract(path):
                if not faces:
                    continue
                found += len(faces)
                heights = faces.boxes[:, 3] - faces.boxes[:, 1]
                faces.keep((heights >= SMALLEST) & (np.abs(faces.aligned.pose[:, 1]) <= MOST_TURNED))
                await pictures.write(faces)
            await pictures.drain()
        print(f"{pictures.statistics().written} of {found} faces written to {folder}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
