"""Subscribe to a running server and print who is where.

facestream serve webcam:0 &
python examples/print_tracks.py ws://127.0.0.1:8765 [MESSAGES]
"""

import asyncio
import json
import sys

import websockets


async def main(server: str, messages: int | None = None) -> None:
    async with websockets.connect(f"{server}/ws/faces?fields=track,box&fps=5") as socket:
        async for text in socket:
            message = json.loads(text)
            if message["type"] != "faces":
                continue  # "hello" comes first, "status" when a source changes state
            people = [f"#{face.get('track', '?')} at {face['box'][:2]}" for face in message["faces"]]
            print(f"{message['source']} {message['pts']:8.2f} s  {', '.join(people) or 'nobody'}", flush=True)
            if messages is not None and (messages := messages - 1) == 0:
                return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
