"""What the service is compared with: the same work, as short as it can be written in Python, and nothing kept.

Reads events from $STREAM with `websockets` and posts each to $SINK, 50 at a time, each on a kept connection. No
journal, no retry, no order, no routes: what it holds is lost when it ends, or when the sink is down.
`service.py` runs it.
"""

import asyncio
import json
import os
from urllib.parse import urlsplit

from websockets.asyncio.client import connect

IN_FLIGHT = 50


async def deliver(events: "asyncio.Queue[dict[str, str]]", host: str, port: int, path: str) -> None:
    """Post one after the other on one connection."""
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: "
    while True:
        event = await events.get()
        text = f"Your {event['type']} was {event['action']}d: {event['resource_uri']}"
        body = json.dumps({"text": text})
        writer.write(f"{head}{len(body)}\r\n\r\n{body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]))


async def main() -> None:
    """Read for as long as there is a stream."""
    sink = urlsplit(os.environ["SINK"])
    events: asyncio.Queue[dict[str, str]] = asyncio.Queue(1000)
    posting = [
        asyncio.create_task(deliver(events, sink.hostname or "", sink.port or 80, sink.path)) for _ in range(IN_FLIGHT)
    ]
    async with connect(os.environ["STREAM"] + "/v1/events", compression=None, ping_interval=None, proxy=None) as stream:
        async for message in stream:
            event = json.loads(message)
            if event["type"] != "auth":
                await events.put(event)
    for each in posting:
        each.cancel()


if __name__ == "__main__":
    asyncio.run(main())
