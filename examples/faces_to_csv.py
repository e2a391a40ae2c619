"""The faces of a video as a CSV file.

python examples/faces_to_csv.py clip.mp4 faces.csv
"""

import csv
import sys

import facestream


def main(video: str, table: str) -> None:
    with open(table, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "seconds", "track", "left", "top", "right", "bottom", "score", "yaw"])
        for faces in facestream.extract_sync(video):
            for i, (box, score) in enumerate(zip(faces.boxes, faces.scores)):
                yaw = faces.aligned.pose[i, 1]
                writer.writerow(
                    [
                        faces.frame.seq,
                        f"{faces.frame.pts:.3f}",
                        faces.tracks[i],
                        *box.round(1),
                        score.round(3),
                        yaw.round(1),
                    ]
                )


if __name__ == "__main__":
    main(*sys.argv[1:])
