// One task: where it stands and why, what happened to it, and what can be done.

import { el, list, part, say } from "./dom.js";
import * as format from "./format.js";
import { confirm, keepLooking, live, mayChange, notice, onKey, perform, taskUrl, tasksUrl } from "./shell.js";
import { showTimeline } from "./timeline.js";

const page = part("task");
const { id } = page.dataset;
const LOOK_MS = 2000;
const CALM_MS = 30_000;
const LIVING = ["PENDING", "QUEUED", "PROCESSING"];
const RETRIABLE = ["FAILED", "DEAD_LETTER", "CANCELLED"];
const STATE = `id version name title description status queue priority priorityLevel attempts maxRetries retries lostLeases
  timeoutSeconds progress error idempotencyKey createdAt updatedAt scheduledAt queuedAt startedAt completedAt leaseExpiresAt
  heldUntil cronExpression handlerKnown user { username } team { name } worker { id name isOnline } schedule { title }
  dependsOn { id name status }`;

let task = null;
let lookedAt = 0;

// --- asking ------------------------------------------------------------------------------------------------------------

async function look() {
  const patience = task && !LIVING.includes(task.status) ? CALM_MS : LOOK_MS;
  if (Date.now() - lookedAt < patience - 100) return;
  lookedAt = Date.now();
  try {
    const answer = await live.ask(`query ($id: ID!) {
      task(id: $id) { ${STATE} payload result logs { message level createdAt attempt }
        endings { attempt ending error endedAt workerId } }
      explain(id: $id) { sentence reasons { code message until task worker queue } } }`, { id });
    take(answer);
  } catch (error) {
    if (error.code !== "NOT_FOUND") throw error;
    refuse("There is no such task, or it belongs to another team, or it was kept for as long as it should be and is gone.");
  }
}

function refuse(text) {
  task = null;
  lookedAt = Infinity;
  part("problem").hidden = false;
  say(part("problem"), text);
  page.removeAttribute("aria-busy");
  for (const section of page.querySelectorAll("section, .columns")) section.hidden = true;
  part("actions").replaceChildren();
}

function take({ task: found, explain }) {
  const first = task === null;
  task = { ...found, code: explain.reasons[0].code };
  page.removeAttribute("aria-busy");
  document.title = `${task.title} · DTQ`;
  say(part("title"), task.title);
  showState(explain);
  showTimeline(part("timeline"), task);
  showFacts();
  showLogs();
  say(part("payload"), JSON.stringify(task.payload, null, 2));
  showResult();
  showActions();
  if (first) follow();
}

// A change is heard of at once; what it comes to is asked anew, at most once a moment.
let soon = null;
function follow() {
  live.follow("subscription ($id: ID!, $since: Int) { taskUpdated(id: $id, since: $since) { version status progress } }",
    { id, since: task.version }, ({ taskUpdated: changed }) => {
      if (!task || changed.version <= task.version) return;
      task = { ...task, ...changed };
      showBadge();
      soon ??= setTimeout(() => {
        soon = null;
        lookedAt = 0;
        again();
      }, 150);
    });
}

// --- showing -----------------------------------------------------------------------------------------------------------

function showBadge() {
  part("badge").replaceChildren(el(`span.badge.${task.status}`, {}, format.STATES[task.status]));
  const bar = part("progress");
  bar.hidden = task.status !== "PROCESSING" || task.progress === null;
  if (!bar.hidden) {
    bar.firstElementChild.value = task.progress;
    say(bar.lastElementChild, `${task.progress} %`);
  }
}

function showState(explain) {
  showBadge();
  const [weightiest, ...others] = explain.reasons;
  say(part("headline"), weightiest.message);
  list(part("reasons"), others, (reason) => reason.message, () => el("li"), (node, reason) => {
    if (node.childNodes.length) return;
    node.append(reason.message);
    if (reason.task) node.append(" ", el("a", { href: taskUrl(reason.task) }, "That task"));
  });
  list(part("headline-task"), weightiest.task ? [weightiest.task] : [], String, (other) => el("a", { href: taskUrl(other) }, "That task"), () => {});
}

function showFacts() {
  const listOf = (filter) => `${tasksUrl}?${new URLSearchParams(filter)}`;
  const facts = [
    ["Handler", el("span", {}, el("a", { href: listOf({ name: task.name }) }, task.name), task.handlerKnown ? null : el("span.badge.bad", {}, "no worker knows it"))],
    ["Queue", el("a", { href: listOf({ queue: task.queue }) }, task.queue)],
    ["Priority", `${task.priority} (${task.priorityLevel.toLowerCase()})`],
    ["Attempts", `${task.attempts} of ${Math.max(task.maxRetries + 1, task.attempts)}${task.lostLeases ? `, ${task.lostLeases} lost with their worker` : ""}`],
    ["Time limit", format.duration(task.timeoutSeconds)],
    task.worker && ["Worker", `${task.worker.name}${task.worker.isOnline ? "" : " (offline)"}`],
    task.leaseExpiresAt && task.status === "PROCESSING" && ["Lease ends", format.relative(task.leaseExpiresAt)],
    task.heldUntil && ["Kept for its worker until", format.moment(task.heldUntil)],
    ["Team", task.team.name],
    ["Created by", task.user?.username ?? "code"],
    task.schedule && ["Schedule", `${task.schedule.title} (${task.cronExpression ?? "interval"})`],
    task.dependsOn.length && ["Depends on", el("span", {}, ...task.dependsOn.flatMap((each) => [el("a", { href: taskUrl(each.id) }, each.name), ` ${format.STATES[each.status].toLowerCase()} `]))],
    task.idempotencyKey && ["Idempotency key", el("code", {}, task.idempotencyKey)],
    task.description && ["Description", task.description],
  ].filter(Boolean);
  list(part("facts"), facts, ([name]) => name, ([name]) => el("div", {}, el("dt", {}, name), el("dd")), (node, [, value]) => {
    const text = typeof value === "string" ? value : value.textContent;
    if (node.lastElementChild.textContent !== text) node.lastElementChild.replaceChildren(value);
  });
}

function showLogs() {
  const box = part("logs");
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
  say(part("logs-count"), task.logs.length || "");
  const lines = task.logs.length ? task.logs.map((line, index) => ({ ...line, index })) : [null];
  list(box, lines, (line) => (line ? `${line.createdAt} ${line.index}` : ""), (line) => {
    if (!line) return el("p.nothing", {}, "Its handler has written nothing.");
    const time = format.clock(new Date(line.createdAt));
    return el("p", { data: { level: line.level } }, el("time", { title: `attempt ${line.attempt}` }, time), el("span", {}, line.level), el("span", {}, line.message));
  }, () => {});
  if (atEnd) box.scrollTop = box.scrollHeight;
}

function showResult() {
  const failed = task.error && task.status !== "COMPLETED";
  say(part("result-title"), failed ? "Last error" : "Result");
  const none = { COMPLETED: "null", PROCESSING: "It is still running.", PENDING: "Not yet.", QUEUED: "Not yet." }[task.status] ?? "None.";
  say(part("result"), failed ? task.error : task.result === null ? none : JSON.stringify(task.result, null, 2));
}

// --- doing -------------------------------------------------------------------------------------------------------------

const change = (field) => live.ask(`mutation ($id: ID!) { answer: ${field}(id: $id) { id } }`, { id });

async function steer(button, field, done) {
  await perform(button, () => change(field), () => done);
  lookedAt = 0;
  again();
}

const retry = (button) => steer(button, "retryTask", "It runs again, with all its attempts anew.");
const reassign = (button) => steer(button, "reassignTask", "Another worker gets it when its lease has ended.");

async function cancel(button) {
  const body = task.status === "PROCESSING"
    ? "It is running: its worker hears of this at its next renewal and stops it at its next checkpoint. A result that still arrives is refused."
    : "It will not run.";
  if (await confirm({ title: "Cancel this task?", body, yes: "Cancel the task", grave: true })) await steer(button, "cancelTask", "It is cancelled.");
}

function clone() {
  const form = part("clone-form");
  form.elements.payload.value = JSON.stringify(task.payload, null, 2);
  form.elements.queue.value = task.queue;
  form.elements.priority.value = task.priority;
  part("clone-problem").hidden = true;
  part("clone").showModal();
}

async function create(event) {
  if (event.submitter?.value !== "yes") return;
  event.preventDefault();
  const { payload, queue, priority } = event.target.elements;
  const say_ = (text) => {
    part("clone-problem").hidden = false;
    say(part("clone-problem"), text);
  };
  let read;
  try {
    read = JSON.parse(payload.value);
  } catch (error) {
    return say_(`That is no JSON: ${error.message}`);
  }
  const { name, title, maxRetries, timeoutSeconds } = task;
  const input = { name, title, payload: read, queue: queue.value, priority: Number(priority.value), maxRetries, timeoutSeconds };
  event.submitter.disabled = true;
  try {
    const { createTask: made } = await live.ask("mutation ($input: CreateTaskInput!) { createTask(input: $input) { id } }", { input });
    location.assign(taskUrl(made.id));
  } catch (error) {
    say_(error.message);
  } finally {
    event.submitter.disabled = false;
  }
  return undefined;
}

// Whether the worker that keeps the task has not been heard of, so that another one could have it sooner.
const isCutOff = () => task.status === "PROCESSING" && task.heldUntil && (task.code === "HELD_FOR_WORKER" || !task.worker?.isOnline);

let offered = "";
function showActions() {
  if (!mayChange) return;
  const offers = [
    RETRIABLE.includes(task.status) && ["Retry", "primary", retry],
    isCutOff() && ["Reassign", "plain", reassign],
    LIVING.includes(task.status) && ["Cancel", "plain", cancel],
    ["Duplicate…", "plain", clone],
  ].filter(Boolean);
  const names = offers.map(([name]) => name).join();
  if (names === offered) return;
  offered = names;
  part("actions").replaceChildren(...offers.map(([name, kind, act]) =>
    el(`button.${kind}`, { type: "button", onclick: ({ currentTarget }) => act(currentTarget) }, name)));
}

const press = (name) => [...part("actions").children].find((button) => button.textContent.startsWith(name))?.click();
onKey("r", () => press("Retry"));
onKey("c", () => press("Cancel"));
onKey("d", () => press("Duplicate"));
part("clone-form").addEventListener("submit", create);
part("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(id);
  notice("The id is copied.");
});

const again = keepLooking(look, 500);
