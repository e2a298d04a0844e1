// The list of tasks. What is looked for stands in the address, so a list can be kept, shared and gone back to.

import { cell, el, list, part, say, table } from "./dom.js";
import * as format from "./format.js";
import { keepLooking, live, mayChange, onKey, performOnMany, taskUrl } from "./shell.js";

const PAGE = 50;
const LOOK_MS = 5000;
const TYPING_MS = 250;
const FIELDS = ["search", "queue", "name", "error", "since", "order"];
const SPANS = { "15m": 900, "1h": 3600, "24h": 86_400, "7d": 604_800 };
const RETRIABLE = ["FAILED", "DEAD_LETTER", "CANCELLED"];
const LIVING = ["PENDING", "QUEUED", "PROCESSING"];
const COLUMNS = "id version name title status queue priority priorityLevel attempts maxRetries progress createdAt scheduledAt queuedAt startedAt completedAt error";
const QUERY = `query ($filter: TaskFilter, $order: TaskOrder, $after: String) {
  tasksConnection(first: ${PAGE}, filter: $filter, orderBy: $order, after: $after) {
    nodes { ${COLUMNS} } pageInfo { hasNextPage endCursor } } }`;

const form = part("filters");
let shown = { tasks: [], end: null };
let follows = new Map();

// --- the address -------------------------------------------------------------------------------------------------------

const asked = () => new URLSearchParams(location.search);
const askedStates = () => (asked().get("status") ?? "").split(",").filter((state) => state in format.STATES);

function filter() {
  const words = asked();
  const found = {};
  for (const name of ["search", "queue", "name", "error"]) if (words.get(name)) found[name] = words.get(name);
  if (askedStates().length) found.status = askedStates();
  if (words.get("worker")) found.workerId = words.get("worker");
  const span = SPANS[words.get("since")];
  if (span) found.createdAfter = new Date(Date.now() - span * 1000).toISOString();
  return found;
}

function go(changes, replace = false) {
  const words = asked();
  for (const [name, value] of Object.entries({ after: "", ...changes })) {
    if (value) words.set(name, value);
    else words.delete(name);
  }
  const query = words.toString();
  history[replace ? "replaceState" : "pushState"](null, "", query ? `?${query}` : location.pathname);
  begin();
}

function showControls() {
  const words = asked();
  for (const name of FIELDS) {
    const field = form.elements[name];
    const value = words.get(name) ?? "";
    if (field.tagName === "SELECT" && ![...field.options].some((option) => option.value === value)) field.add(new Option(value, value));
    if (document.activeElement !== field) field.value = value;
  }
  const states = askedStates();
  const choices = [["", "All"], ...Object.entries(format.STATES)];
  list(part("states"), choices, ([name]) => name, ([name, label]) => el("button", { type: "button", onclick: () => toggle(name) }, label), (node, [name]) =>
    node.setAttribute("aria-pressed", String(name ? states.includes(name) : !states.length)));
  const worker = words.get("worker");
  part("worker").hidden = !worker;
  if (worker) {
    part("worker").replaceChildren("Only what worker ", el("code", {}, worker), " runs now. ", el("button.plain.small", { type: "button", onclick: () => go({ worker: "" }) }, "Show all"));
  }
}

function toggle(name) {
  const states = askedStates();
  if (!name) return go({ status: "" });
  return go({ status: (states.includes(name) ? states.filter((state) => state !== name) : [...states, name]).join(",") });
}

let typing;
form.addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  const change = () => go({ [target.name]: target.value.trim() }, target.tagName === "INPUT");
  if (target.tagName === "SELECT") change();
  else typing = setTimeout(change, TYPING_MS);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  go(Object.fromEntries([...FIELDS, "status", "worker"].map((name) => [name, ""])));
});
addEventListener("popstate", () => begin());

// --- the list ----------------------------------------------------------------------------------------------------------

function words(task) {
  if (task.status === "PROCESSING") return task.progress === null ? format.STATES.PROCESSING : `Running ${task.progress} %`;
  return format.STATES[task.status];
}

function took(task) {
  if (task.status === "PROCESSING") return format.age(format.since(task.startedAt));
  if (task.status === "QUEUED") return `waits ${format.coarse(format.since(task.queuedAt))}`;
  if (task.status === "PENDING") return task.scheduledAt ? format.relative(task.scheduledAt) : "waits";
  if (!task.startedAt || !task.completedAt) return "–";
  return format.duration((new Date(task.completedAt) - new Date(task.startedAt)) / 1000);
}

function name(task) {
  const link = el("a", { href: taskUrl(task.id) }, task.title);
  const more = task.title === task.name ? null : el("small.quiet", {}, ` ${task.name}`);
  const error = task.error && task.status !== "COMPLETED" ? el("span.error", { title: task.error }, task.error) : null;
  return cell(el("span", {}, link, more, error), task.title, task.error, task.status);
}

const nothing = el("p.nothing");

function show() {
  say(nothing, asked().size ? "No task meets these conditions." : "There are no tasks yet. Create one in the console, or by manage.py enqueue.");
  table(part("rows"), shown.tasks, (task) => task.id, (task) => [
    cell(el(`span.badge.${task.status}`, {}, words(task)), words(task)),
    name(task),
    task.queue,
    cell(el("span", { title: task.priorityLevel.toLowerCase() }, String(task.priority)), task.priority),
    `${task.attempts} / ${Math.max(task.maxRetries + 1, task.attempts)}`,
    cell(el("time", { dateTime: task.createdAt, title: format.moment(task.createdAt) }, format.relative(task.createdAt)), format.relative(task.createdAt)),
    took(task),
  ], nothing);
}

async function look() {
  const address = location.search;
  const { tasksConnection: page } = await live.ask(QUERY, {
    filter: filter(),
    order: asked().get("order") || "NEWEST",
    after: asked().get("after"),
  });
  if (address !== location.search) return;
  shown = { tasks: page.nodes, end: page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null, address };
  const count = shown.tasks.length;
  say(part("summary"), shown.end ? `${count} tasks, and there are more` : format.plural(count, "task"));
  part("next").hidden = !shown.end;
  part("first").hidden = !asked().get("after");
  part("newer").hidden = true;
  showBulk();
  show();
  follow();
}

// Each task that is shown is followed by its id, so however much goes on elsewhere, this page hears of its own rows only.
function follow() {
  const wanted = new Map(shown.tasks.filter((task) => LIVING.includes(task.status)).map((task) => [task.id, task]));
  for (const [id, stop] of follows) {
    if (!wanted.has(id)) {
      stop();
      follows.delete(id);
    }
  }
  for (const [id, task] of wanted) {
    if (follows.has(id)) continue;
    const query = `subscription ($id: ID!, $since: Int) { taskUpdated(id: $id, since: $since) { ${COLUMNS} } }`;
    follows.set(id, live.follow(query, { id, since: task.version }, ({ taskUpdated: changed }) => {
      shown.tasks = shown.tasks.map((each) => (each.id === id && each.version <= changed.version ? changed : each));
      show();
    }));
  }
}

// Whether the first page would begin with another task by now. It is not put before the reader's eyes unasked.
async function lookForNewer() {
  if (shown.address !== location.search) return look();
  if (asked().get("after")) return undefined;
  const { tasksConnection: page } = await live.ask(
    `query ($filter: TaskFilter, $order: TaskOrder) { tasksConnection(first: 1, filter: $filter, orderBy: $order) { nodes { id } } }`,
    { filter: filter(), order: asked().get("order") || "NEWEST" },
  );
  if (page.nodes[0]?.id === shown.tasks[0]?.id) return undefined;
  if (!shown.tasks.length) return look();
  part("newer").hidden = false;
  return undefined;
}

// --- what can be done with all of them ---------------------------------------------------------------------------------

function showBulk() {
  if (!mayChange) return;
  const states = askedStates();
  const any = (some) => !states.length || states.some((state) => some.includes(state));
  const button = (text, verb) =>
    el("button.plain.small", { type: "button", onclick: async ({ currentTarget: node }) => {
      const wanted = filter();
      await performOnMany(node, verb, wanted, !Object.keys(wanted).length);
      await look();
    } }, text);
  const nodes = shown.tasks.length ? [any(RETRIABLE) && button("Retry all of these", "retry"), any(LIVING) && button("Cancel all of these", "cancel")] : [];
  part("bulk").replaceChildren(...nodes.filter(Boolean));
}

// --- keys --------------------------------------------------------------------------------------------------------------

function step(by) {
  const links = [...part("rows").querySelectorAll("td:nth-child(2) a")];
  const at = links.indexOf(document.activeElement);
  links[Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
}

onKey("j", () => step(1));
onKey("k", () => step(-1));
onKey("n", () => shown.end && go({ after: shown.end }));
part("rows").addEventListener("click", ({ target }) => {
  if (!target.closest("a") && !String(getSelection())) target.closest("tr").querySelector("a")?.click();
});
part("next").addEventListener("click", () => {
  go({ after: shown.end });
  scrollTo({ top: 0 });
});
part("first").addEventListener("click", () => go({}));
part("newer").addEventListener("click", () => look());
if (location.hash === "#search") form.elements.search.focus();

async function offerChoices() {
  const { queues, workers } = await live.ask("{ queues { name } workers { handlers } }");
  const known = new Set([...form.elements.queue.options].map((option) => option.value));
  for (const { name: queue } of queues) if (!known.has(queue)) form.elements.queue.add(new Option(queue, queue));
  const handlers = [...new Set(workers.flatMap((worker) => worker.handlers))].sort();
  part("handlers").replaceChildren(...handlers.map((handler) => el("option", { value: handler })));
  showControls();
}

function begin() {
  showControls();
  say(part("summary"), "Looking…");
  again();
}

showControls();
const again = keepLooking(lookForNewer, LOOK_MS);
keepLooking(offerChoices, 60_000);
setInterval(() => shown.tasks.length && !document.hidden && show(), 1000);
