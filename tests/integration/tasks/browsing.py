"""A browser in the Django admin's pages of tasks."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpResponse
from django.test import Client

from accounts.roles import Role
from dtq_site.foundation.database import database_clock
from tasks.domain.states import TaskStatus
from tasks.models import Task
from tests.support.factories import create, in_state, make_user

LIST, REQUESTS = "/admin/tasks/task/", "/admin/tasks/bulkrequest/"


def browser_of(username: str, role: Role, **how: Any) -> Client:
    client = Client(**how)
    client.force_login(make_user(username, role=role))
    return client


def many(count: int, **fields: Any) -> list[Task]:
    return [create(database_clock.now(), **fields) for _ in range(count)]


def dead(**fields: Any) -> Task:
    return in_state(TaskStatus.DEAD_LETTER, database_clock.now(), **fields)


def listed(browser: Client, query: str = "") -> list[str]:
    """The ids of the tasks that the list shows, in its order."""
    response = browser.get(LIST + query)
    assert response.status_code == 200
    return [str(task.pk) for task in response.context["cl"].result_list]


def ids(*tasks: Task) -> list[str]:
    return [str(task.pk) for task in tasks]


def older(response: HttpResponse) -> str | None:
    found = re.search(r'href="(\?[^"]*)" rel="next"', response.content.decode())
    return found.group(1).replace("&amp;", "&") if found else None
