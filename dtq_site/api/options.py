"""The settings of the GraphQL edge."""

from dataclasses import dataclass
from datetime import timedelta

from dtq_site.foundation.options import option


@dataclass(frozen=True)
class ApiOptions:
    """How many requests run at once, what one may cost, and how many a client may send."""

    threads: int = option(
        4,
        env="DTQ_API_THREADS",
        minimum=1,
        maximum=256,
        help="how many GraphQL requests one API process runs at once; each thread keeps a database connection.",
    )
    introspection: bool = option(
        True,
        env="DTQ_API_INTROSPECTION",
        help="whether clients may ask for the schema, as GraphQL consoles and code generators do.",
    )
    max_request_bytes: int = option(
        4 * 1024 * 1024,
        env="DTQ_API_MAX_REQUEST_BYTES",
        minimum=10_000,
        maximum=64 * 1024 * 1024,
        help="the largest body of a request, in bytes.",
    )
    max_variables_bytes: int = option(
        4 * 1024 * 1024,
        env="DTQ_API_MAX_VARIABLES_BYTES",
        minimum=1_000,
        maximum=64 * 1024 * 1024,
        help="the largest variables of a GraphQL request, in bytes of JSON.",
    )
    max_answer_bytes: int = option(
        32 * 1024 * 1024,
        env="DTQ_API_MAX_ANSWER_BYTES",
        minimum=1024 * 1024,
        maximum=1024 * 1024 * 1024,
        help="the largest answer to a GraphQL request, in bytes; it must hold 100 payloads, for workers that claim as many.",
    )
    max_unsigned_bytes: int = option(
        64 * 1024,
        env="DTQ_API_MAX_UNSIGNED_BYTES",
        minimum=10_000,
        maximum=64 * 1024 * 1024,
        help="the largest body of a request, or message over the WebSocket, of somebody who has not signed in, in bytes.",
    )
    max_tokens: int = option(
        10_000, env="DTQ_API_MAX_TOKENS", minimum=100, maximum=1_000_000, help="the most tokens in a GraphQL document."
    )
    max_unsigned_tokens: int = option(
        500,
        env="DTQ_API_MAX_UNSIGNED_TOKENS",
        minimum=100,
        maximum=1_000_000,
        help="the most tokens in a GraphQL document of somebody who has not signed in.",
    )
    max_depth: int = option(
        12,
        env="DTQ_API_MAX_DEPTH",
        minimum=3,
        maximum=100,
        help="how deep the fields of a GraphQL operation may be nested.",
    )
    max_fields: int = option(
        500,
        env="DTQ_API_MAX_FIELDS",
        minimum=50,
        maximum=10_000,
        help="the most fields in a GraphQL operation, those of a fragment counted each time that it is spread.",
    )
    max_aliases: int = option(
        100,
        env="DTQ_API_MAX_ALIASES",
        minimum=1,
        maximum=10_000,
        help="the most fields with an alias in a GraphQL operation.",
    )
    max_cost: int = option(
        50_000,
        env="DTQ_API_MAX_COST",
        minimum=1_000,
        maximum=10_000_000,
        help="what a GraphQL operation may cost: a point for every field that it resolves, those in lists once an item.",
    )
    rate: int = option(
        500,
        env="DTQ_API_RATE",
        minimum=0,
        maximum=1_000_000,
        help="GraphQL requests a second and user, or address of somebody who has not signed in; 0 is no limit.",
    )
    burst: int = option(
        2_000,
        env="DTQ_API_BURST",
        minimum=1,
        maximum=1_000_000,
        help="how many of them may come at once after a pause.",
    )
    cost_per_request: int = option(
        1_000,
        env="DTQ_API_COST_PER_REQUEST",
        minimum=1,
        maximum=10_000_000,
        help="the cost up to which a GraphQL request counts as one for the rate; twice as much counts as two.",
    )
    cached_documents: int = option(
        250,
        env="DTQ_API_CACHED_DOCUMENTS",
        minimum=1,
        maximum=100_000,
        help="how many parsed GraphQL documents one API process keeps; a long one takes up to 1 MB.",
    )
    cached_document_length: int = option(
        4_000,
        env="DTQ_API_CACHED_DOCUMENT_LENGTH",
        minimum=0,
        maximum=1_000_000,
        help="the longest GraphQL document that is kept, in characters.",
    )
    socket_init_timeout: timedelta = option(
        timedelta(seconds=5),
        env="DTQ_SOCKET_INIT_TIMEOUT",
        minimum=timedelta(milliseconds=100),
        maximum=timedelta(minutes=5),
        help="how long a client of the WebSocket may take to say who it is.",
    )
    socket_message_bytes: int = option(
        1024 * 1024,
        env="DTQ_SOCKET_MESSAGE_BYTES",
        minimum=1024,
        maximum=1024 * 1024,
        help="the largest message of a client over the WebSocket, in bytes; Daphne takes none above a mebibyte.",
    )
    socket_operations: int = option(
        200,
        env="DTQ_SOCKET_OPERATIONS",
        minimum=1,
        maximum=100_000,
        help="how many operations, subscriptions mostly, may live on one WebSocket at once.",
    )
    sockets_per_user: int = option(
        2000,
        env="DTQ_SOCKETS_PER_USER",
        minimum=1,
        maximum=1_000_000,
        help="how many WebSockets one account may have open to one API process.",
    )
    subscriptions_per_user: int = option(
        2000,
        env="DTQ_SUBSCRIPTIONS_PER_USER",
        minimum=1,
        maximum=1_000_000,
        help="how many subscriptions one account may have on all its WebSockets to one API process.",
    )
    unsigned_sockets_per_address: int = option(
        1000,
        env="DTQ_UNSIGNED_SOCKETS_PER_ADDRESS",
        minimum=1,
        maximum=1_000_000,
        help="how many WebSockets of one address, to one API process, may not have said yet who they are.",
    )
    socket_backlog: int = option(
        1000,
        env="DTQ_SOCKET_BACKLOG",
        minimum=10,
        maximum=1_000_000,
        help="how many messages may wait for a slow client of the WebSocket before it is cut off.",
    )
    socket_backlog_bytes: int = option(
        64 * 1024 * 1024,
        env="DTQ_SOCKET_BACKLOG_BYTES",
        minimum=1024 * 1024,
        maximum=16 * 1024 * 1024 * 1024,
        help="how many bytes may wait for all sockets of one account, in one API process, before one of them is cut off.",
    )
    socket_patience: timedelta = option(
        timedelta(seconds=30),
        env="DTQ_SOCKET_PATIENCE",
        minimum=timedelta(seconds=1),
        maximum=timedelta(hours=1),
        help="how long a client of the WebSocket may read nothing of what waits for it before it is cut off.",
    )

    def request_bytes(self, *, signed_in: bool) -> int:
        """The largest request that such a caller may send."""
        return self.max_request_bytes if signed_in else min(self.max_request_bytes, self.max_unsigned_bytes)
