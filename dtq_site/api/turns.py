"""Who is shown something next: every account gets its turn, however much is made for another one. Pure.

An account is shown what happens at once until it has taken its slice of the round. What is beyond that is late: it waits in the
account's own line, in which newer events of a subject take the place of older ones, and the accounts that have taken least are
served first. What waits while very much is made for its own account is given up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dtq_site.foundation.news import News

if TYPE_CHECKING:
    from dtq_site.api.hub import Subscription

SLICE_SECONDS = 0.1
"""For how long a round may make what one account is shown, and for how long what is late; one event may take longer."""

PATIENCE_SECONDS = 10.0
"""How much may be made for an account while something of its own waits."""

_LONGEST = 1.0
"""What one event counts for at most: a database that hangs is nobody's fault."""


@dataclass(eq=False)
class Show:
    """An event, and the subscriptions that are shown the same of it."""

    news: News
    subscriptions: Sequence[Subscription]
    account: Hashable = None
    """Who is charged for it."""
    taken_before: float = 0.0
    """What its account had taken when it began to wait."""

    @property
    def place(self) -> Hashable:
        """Shows of the same place follow one another: the later has the newer state."""
        return self.subscriptions[0].query.key, self.news.subject

    def follow(self, earlier: Show) -> None:
        """Take the place of an earlier one, which has not been shown."""
        self.subscriptions = list(dict.fromkeys((*earlier.subscriptions, *self.subscriptions)))


class Turns:
    """The lines of the accounts, and what each has taken: seconds of this round, or since it has been late."""

    def __init__(self) -> None:
        self._taken: defaultdict[Hashable, float] = defaultdict(float)
        self._lines: dict[Hashable, dict[Hashable, Show]] = {}
        self._account_at: dict[Hashable, Hashable] = {}

    def __bool__(self) -> bool:
        """Whether anything is late."""
        return bool(self._lines)

    def begin(self) -> None:
        """A round begins, and with it the slices of those who are not late."""
        late = {account: self._taken[account] for account in self._lines}
        self._taken = defaultdict(float, late)

    def comes_now(self, show: Show) -> bool:
        """Whether it is to be shown now; else it is late. What several accounts are shown is at the cost of the least busy."""
        earlier = self._at(show.place)
        if earlier is not None:
            show.follow(earlier)
        accounts = dict.fromkeys(each.query.account for each in show.subscriptions)
        show.account = min(accounts, key=lambda account: (account in self._lines, self._taken[account]))
        if earlier is not None and earlier.account != show.account:
            self._take(show.place)
            earlier = None
        if show.account not in self._lines and self._taken[show.account] < SLICE_SECONDS:
            return True
        show.taken_before = earlier.taken_before if earlier is not None else self._taken[show.account]
        self._lines.setdefault(show.account, {})[show.place] = show
        self._account_at[show.place] = show.account
        return False

    def late(self) -> Iterator[Show]:
        """What is late, each for the account that has taken least by then."""
        while self._lines:
            account = min(self._lines, key=self._taken.__getitem__)
            yield self._take(next(iter(self._lines[account])))

    def given_up(self) -> Iterator[Show]:
        """What has waited for too long; it is late no more."""
        for account, line in list(self._lines.items()):
            for show in list(line.values()):
                if self._taken[account] - show.taken_before < PATIENCE_SECONDS:
                    break
                yield self._take(show.place)

    def charge(self, show: Show, seconds: float) -> None:
        """It has been shown, and that took so long."""
        self._taken[show.account] += min(seconds, _LONGEST)

    def _at(self, place: Hashable) -> Show | None:
        return self._lines[self._account_at[place]][place] if place in self._account_at else None

    def _take(self, place: Hashable) -> Show:
        account = self._account_at.pop(place)
        show = self._lines[account].pop(place)
        if not self._lines[account]:
            del self._lines[account]
        return show
