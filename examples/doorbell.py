"""Say who arrives, as it happens.

facestream serve --events door=rtsp://camera/stream &
python examples/doorbell.py ws://127.0.0.1:8765 [EVENTS]
"""

import asyncio
import json
import sys
import time

import websockets


def sentence(event: dict) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(event["at"]))
    who, where = event["name"] or "somebody", event["source"]
    if event["kind"] == "arrived":
        return f"{at} {who} is at {where}"
    if event["kind"] == "named":
        return f"{at} that is {who}" if event["name"] else f"{at} that isn't who it seemed to be"
    return f"{at} {who} has left {where} after {event['ended_at'] - event['started_at']:.0f} s"


async def main(server: str, events: int | None = None) -> None:
    # `async for` connects again when the server is restarted; `events=only` leaves out the faces of each frame.
    async for socket in websockets.connect(f"{server}/ws/faces?events=only"):
        try:
            async for text in socket:
                message = json.loads(text)
                if message["type"] != "event":
                    continue  # "hello" comes first, "status" when a source changes state
                print(sentence(message), flush=True)
                if events is not None and (events := events - 1) == 0:
                    return
        except websockets.ConnectionClosed:
            continue


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
