"""The settings of the GraphQL edge."""

from dataclasses import dataclass

from dtq_site.foundation.options import option


@dataclass(frozen=True)
class ApiOptions:
    """How many requests run at once, and how large a document may be."""

    threads: int = option(
        4,
        env="DTQ_API_THREADS",
        minimum=1,
        maximum=256,
        help="how many GraphQL requests one API process runs at once; each thread keeps a database connection.",
    )
    max_tokens: int = option(
        10_000, env="DTQ_API_MAX_TOKENS", minimum=100, maximum=1_000_000, help="the most tokens in a GraphQL document."
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
