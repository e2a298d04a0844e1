"""What the keeper of a remote worker asks of the server, and what it leaves to the files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dtq_site.foundation.observer import Observer
from tasks.domain.lease import Lease
from tasks.domain.outcome import Outcome
from workers.domain.card import WorkerCard
from workers.offline.errors import StoreError
from workers.offline.folder import OutboxFolder
from workers.transports.base import Renewal
from workers.transports.graphql_client import GraphQLClient
from workers.transports.worker_api import WorkerApi


class RemoteKeeping:
    """The Keeping of a remote worker. Of the dead it says nothing to the server: their files do, to whoever inherits them."""

    def __init__(self, observer: Observer, client: GraphQLClient, card: WorkerCard, folder: OutboxFolder) -> None:
        self._observer = observer
        self._api = WorkerApi(client, card)
        self._folder = folder

    def begin(self, leases: Sequence[Lease]) -> set[Lease]:
        """See Keeping."""
        return self._api.begin(leases)

    def renew(self, leases: Sequence[Lease], lease: timedelta) -> dict[Lease, Renewal]:
        """See Keeping."""
        return self._api.renew(leases, lease)

    def release(self, leases: Sequence[Lease]) -> None:
        """See Keeping."""
        self._api.release(leases)

    def doom(self, outcomes: Sequence[Outcome]) -> None:
        """See Keeping. On disk before the process is killed, so that its heir finds them; else it finds that they were lost."""
        try:
            store = self._folder.new_store()
            try:
                store.keep(outcomes, [])
            except StoreError:
                self._folder.discard(store)
                raise
            self._folder.release(store)
        except (OSError, StoreError) as error:
            self._observer.emit("outbox.unusable", error=str(error))

    def settle_dead(self, outcomes: Sequence[Outcome], lost: Sequence[Lease], unstarted: Sequence[Lease]) -> None:
        """See Keeping."""

    def after_work(self) -> None:
        """See Keeping."""
