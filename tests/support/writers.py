"""Who may write which rows, and a reader of source code that finds everybody else who does.

The reader follows a model through a function: from its class, its managers, annotations, loops and assignments to the call that
writes. Where it cannot tell whose row it is, a call that only Django has (`save`, `bulk_create`, …) counts against any module
that owns no rows. `write_guard.py` watches the statements that really run, and so catches what no reader of code can see.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any

OWNERS = {  # a module, or a package that ends with a slash
    "accounts.AuditEntry": "accounts/audit.py",
    "accounts.RevokedSession": "accounts/tokens.py",
    "accounts.Team": "accounts/registration.py",
    "accounts.User": "accounts/registration.py",
    "accounts.WorkerToken": "accounts/worker_tokens.py",
    "scheduling.DutyRecord": "scheduling/runtime/bookkeeper.py",
    "scheduling.LeaderLease": "scheduling/runtime/leader.py",
    "scheduling.MetricSample": "scheduling/samples.py",
    "scheduling.Schedule": "scheduling/schedules.py",
    "tasks.BulkRequest": "tasks/bulk.py",
    "tasks.Dependency": "tasks/lifecycle/dependencies.py",
    "tasks.HandlerLimits": "tasks/limits.py",
    "tasks.LimitState": "tasks/limit_line.py",
    "tasks.LimitWaiter": "tasks/limit_line.py",
    "tasks.LockWaiter": "tasks/locks.py",
    "tasks.MetricSum": "tasks/metrics.py",
    "tasks.NamedLock": "tasks/locks.py",
    "tasks.Queue": "tasks/queues.py",
    "tasks.Task": "tasks/lifecycle/",
    "tasks.TaskAttempt": "tasks/audit.py",
    "tasks.TaskEvent": "tasks/webhooks/outbox.py",
    "tasks.TaskLog": "tasks/audit.py",
    "tasks.UnfollowedEnd": "tasks/lifecycle/dependencies.py",
    "tasks.Webhook": "tasks/webhooks/subscriptions.py",
    "tasks.WebhookAttempt": "tasks/webhooks/deliveries.py",
    "tasks.WebhookDelivery": "tasks/webhooks/deliveries.py",
    "workers.Worker": "workers/presence.py",
}
WRITTEN_BY_THE_FRAMEWORK = {"accounts.User": "last_login, by django.contrib.auth at each login to the admin"}

_DJANGO_ONLY = {"save", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "save_base"}
_DJANGO_ONLY |= {f"a{name}" for name in _DJANGO_ONLY} | {"acreate", "aupdate", "adelete"}
_DJANGO_ONLY |= {"_insert", "_update", "_raw_delete"}
_AMBIGUOUS = {"create", "update", "delete"}
_WRITING_SQL = re.compile(
    r"\b(?:INSERT\s+(?:IGNORE\s+)?INTO|UPDATE|DELETE\s+FROM|REPLACE\s+INTO|TRUNCATE(?:\s+TABLE)?)\s+[`\"]?(\w+|\0\d+\0)",
    re.IGNORECASE,
)
_QUOTED_ANNOTATION = re.compile(r"[A-Za-z_][\w.]*( \| None)?")


@dataclass(frozen=True)
class Model:
    """What the reader must know of a model. `leads_to` has its relations, in both directions, by attribute."""

    label: str
    table: str
    fields: frozenset[str]
    leads_to: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its class."""
        return self.label.rpartition(".")[2]


@dataclass(frozen=True)
class Violation:
    """A write by a module that does not own the rows; `label` is None where the reader cannot tell whose they are."""

    line: int
    label: str | None
    code: str


def project_models() -> list[Model]:
    """The models of our apps, out of Django's registry."""
    from django.apps import apps

    from tests.support.sources import PACKAGES

    return [_described(model) for model in apps.get_models() if model._meta.app_label in PACKAGES]


def _described(model: Any) -> Model:
    relations = {}
    for each in model._meta.get_fields():
        if each.is_relation and each.related_model is not None:
            name = each.get_accessor_name() if each.auto_created and not each.concrete else each.name
            if name:
                relations[name] = each.related_model._meta.label
    names = frozenset(name for each in model._meta.fields for name in (each.name, each.attname))
    return Model(model._meta.label, model._meta.db_table, names, relations)


def owns(owner: str | None, path: str) -> bool:
    """Whether the file at `path` is the owner, or one of the owner's files."""
    return owner is not None and (path.startswith(owner) if owner.endswith("/") else path == owner)


def violations(source: str, path: str, models: list[Model], owners: Mapping[str, str]) -> list[Violation]:
    """The writes in `source`, the file `path`, to rows that another file owns."""
    owned = {label for label, owner in owners.items() if owns(owner, path)}
    found = [each for each in _Reader(models).writes(ast.parse(source)) if each.label not in owned]
    return [each for each in found if not (each.label is None and owned)]


class _Reader:
    def __init__(self, models: list[Model]) -> None:
        self._labels = {model.name: model.label for model in models}
        self._models = {model.label: model for model in models}
        self._tables = {model.table: model.label for model in models}

    def writes(self, tree: ast.Module) -> Iterator[Violation]:
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for scope in _scopes(tree):
            known = self._bindings(scope)
            for node in _inside(scope):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    yield from self._written_by(node, node.func, known)
                elif isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in documentation:
                    yield from self._written_by_sql(node, known)

    def _written_by(self, call: ast.Call, method: ast.Attribute, known: dict[str, set[str]]) -> Iterator[Violation]:
        # What Django's `create`, `update` and `delete` take is named; a dictionary's and a client's is not.
        if method.attr not in _DJANGO_ONLY and (method.attr not in _AMBIGUOUS or call.args):
            return
        labels: set[str | None] = set(self._labels_of(method.value, known))
        if not labels and (method.attr in _DJANGO_ONLY or self._looks_like_rows(call, method.attr)):
            labels = {None}
        for label in labels:
            yield Violation(call.lineno, label, ast.unparse(call)[:100])

    def _looks_like_rows(self, call: ast.Call, method: str) -> bool:
        names = {keyword.arg for keyword in call.keywords}
        if method == "delete":
            return not names
        return bool(names) and any(names <= model.fields for model in self._models.values())

    def _written_by_sql(self, node: ast.Constant | ast.JoinedStr, known: dict[str, set[str]]) -> Iterator[Violation]:
        holes: list[ast.expr] = []
        for match in _WRITING_SQL.finditer(_text(node, holes)):
            target = match[1]
            if target.startswith("\0"):
                labels: set[str | None] = set(self._labels_of(holes[int(target.strip("\0"))], known)) or {None}
            else:
                labels = {self._tables[target]} if target in self._tables else set()
            for label in labels:
                yield Violation(node.lineno, label, match[0].split()[0] + " in SQL")

    def _bindings(self, scope: ast.AST) -> dict[str, set[str]]:
        """The names of `scope` and what models stand behind them; twice over, for names bound by later lines."""
        known: dict[str, set[str]] = {}
        if isinstance(scope, ast.ClassDef) and scope.name in self._labels:
            known["self"] = known["super"] = {self._labels[scope.name]}
        for _ in range(2):
            for node in _inside(scope):
                for target, value in _bound(node):
                    if labels := self._labels_of(value, known):
                        known.setdefault(target, set()).update(labels)
        return known

    def _labels_of(self, node: ast.AST, known: dict[str, set[str]]) -> set[str]:
        match node:
            case ast.Name(id=name):
                return known.get(name) or ({self._labels[name]} if name in self._labels else set())
            case ast.Attribute(value=value, attr=name):
                if name in self._labels:
                    return {self._labels[name]}
                return self._through(self._labels_of(value, known), name)
            case ast.Call():
                return self._labels_of_call(node, known)
            case ast.Constant(value=str(text)) if _QUOTED_ANNOTATION.fullmatch(text) and not iskeyword(text):
                return self._labels_of(ast.parse(text, mode="eval").body, known)
            case ast.BinOp() | ast.BoolOp() | ast.IfExp() | ast.Tuple() | ast.List() | ast.Set():
                return set().union(*(self._labels_of(part, known) for part in ast.iter_child_nodes(node)))
            case ast.Subscript(value=value, slice=index):
                return self._labels_of(value, known) or self._labels_of(index, known)
            case ast.Await(value=value) | ast.Starred(value=value) | ast.NamedExpr(value=value):
                return self._labels_of(value, known)
        return set()

    def _labels_of_call(self, call: ast.Call, known: dict[str, set[str]]) -> set[str]:
        named = {part.value for part in call.args if isinstance(part, ast.Constant)} & set(self._labels)
        match call.func:
            case ast.Name(id="get_user_model"):
                return {self._labels["User"]}
            case ast.Attribute(attr="get_model") if named:
                return {self._labels[name] for name in named}
        return self._labels_of(call.func, known)

    def _through(self, labels: set[str], attribute: str) -> set[str]:
        return {self._models[label].leads_to.get(attribute, label) for label in labels} & set(self._models)


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    """The module, each class of it, and each function outside of a class; a class's methods belong to the class."""
    yield tree
    pending = list(ast.iter_child_nodes(tree))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        else:
            pending.extend(ast.iter_child_nodes(node))


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """All nodes of `scope`; of the module those alone that are in no scope of their own."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop(0)
        if isinstance(scope, ast.Module) and isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        if not isinstance(node, ast.JoinedStr):
            pending[:0] = ast.iter_child_nodes(node)
        else:  # the parts of an f-string are read as one text
            pending[:0] = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]


def _bound(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The names that `node` binds, each with the expression that they stand for."""
    match node:
        case ast.Assign(targets=targets, value=value):
            pairs = [(target, value) for target in targets]
        case ast.AnnAssign(target=target, annotation=value) | ast.For(target=target, iter=value):
            pairs = [(target, value)]
        case ast.AsyncFor(target=target, iter=value) | ast.comprehension(target=target, iter=value):
            pairs = [(target, value)]
        case ast.NamedExpr(target=target, value=value):
            pairs = [(target, value)]
        case ast.arg(arg=name, annotation=value) if value is not None:
            yield name, value
            return
        case _:
            return
    for target, value in pairs:
        for part in ast.walk(target):
            if isinstance(part, ast.Name):
                yield part.id, value


def _text(node: ast.Constant | ast.JoinedStr, holes: list[ast.expr]) -> str:
    """The text of a literal; what an f-string fills in is put into `holes` and numbered in the text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    text = ""
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            text += f"\0{len(holes)}\0"
            holes.append(part.value)
        elif isinstance(part, ast.Constant):
            text += str(part.value)
    return text
