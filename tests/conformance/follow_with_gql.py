"""Uses the API through the Python client gql, in an environment of gql's own: asks, changes, follows, is refused.

Arguments: the address of the socket and an access token. Writes what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

CREATE = 'mutation { createTask(input: { name: "job", delaySeconds: 3600 }) { id } }'
CANCEL = "mutation ($id: ID!) { cancelTask(id: $id) { id } }"
FOLLOW = "subscription ($id: ID!) { taskUpdated(id: $id, since: 0) { status } }"


async def main(url: str, token: str) -> dict[str, Any]:
    """Everything on one socket."""
    transport = WebsocketsTransport(url=url, init_payload={"Authorization": f"Bearer {token}"}, ping_interval=0.2)
    saw: dict[str, Any] = {"statuses": []}
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        task = (await session.execute(gql(CREATE)))["createTask"]
        following = gql(FOLLOW)
        following.variable_values = task
        async for result in session.subscribe(following):
            saw["statuses"].append(result["taskUpdated"]["status"])
            if len(saw["statuses"]) == 2:
                break
            cancelling = gql(CANCEL)
            cancelling.variable_values = task
            await session.execute(cancelling)
        try:
            await session.execute(gql("{ task(id: 1) { id } }"))
        except TransportQueryError as error:
            saw["refused"] = error.errors[0]["extensions"]["code"]
        await asyncio.sleep(0.5)  # it pings five times a second, and gives up on a socket that does not answer
        saw["at last"] = await session.execute(gql("{ me { username } }"))
    return saw


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
