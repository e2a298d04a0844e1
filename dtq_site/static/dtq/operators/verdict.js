// Is it healthy, what is stuck and why, what is there to press.

import { el, list, part, say } from "./dom.js";
import * as format from "./format.js";
import { mayChange, mayRule, performOnMany, taskUrl, tasksUrl } from "./shell.js";
import { deadLetterFilter, resumeQueue } from "./panels.js";

export const LOOKED_AFTER_SECONDS = 10; // what has waited for so long is asked why
const LATE_SECONDS = 300;
const ORDINARY = new Set(["READY", "TASKS_AHEAD", "RUNNING"]);
const ORDER = { bad: 0, warn: 1 };
const QUEUE = "queue "; // and its name: a check of health, while that queue is stuck

const PARTS = {
  database: ["bad", "The database does not answer.", "Nothing can be accepted or run until it is back; nothing that was accepted is lost."],
  redis: ["warn", "Redis does not answer.", "Work goes on from the database, more slowly; nothing is lost."],
  workers: ["bad", "No worker is online.", "Tasks are accepted and wait. Start one: manage.py runworker"],
  scheduler: ["bad", "No scheduler runs.", "Nothing that is due later, recurring or to be retried becomes ready. Start one: manage.py runscheduler"],
};

// `state`: health, queues, workers, why (by queue: the oldest task and its explanation), dead (how many in the last hour).
export function findings(state) {
  const found = [...ofParts(state), ...ofQueues(state), ...ofWorkers(state), ...ofDeadLetters(state)];
  return found.sort((a, b) => ORDER[a.level] - ORDER[b.level]);
}

function* ofParts({ health }) {
  for (const { name, status, error } of health?.checks ?? []) {
    if (status === "ok" || name.startsWith(QUEUE)) continue; // of queues there is more to say, below
    const [level, title, text] = PARTS[name] ?? ["warn", `${name} is ${status}.`, error ?? ""];
    yield { key: `part ${name}`, level, title, text };
  }
}

const isKept = (queue, known, keeps) =>
  known?.reasons.some(keeps) && queue.oldestQueuedAt && format.since(queue.oldestQueuedAt) >= LOOKED_AFTER_SECONDS;

// Whether nothing of a queue runs: so health says of one that is late, and so it is where nobody serves it.
export function isStuck(queue, known, health) {
  if (queue.paused || !queue.depth) return false;
  const said = health?.checks.some(({ name }) => name === QUEUE + queue.name);
  return said || isKept(queue, known, (reason) => reason.code === "NO_WORKER");
}

// Whether something other than tasks before it keeps the oldest task of a queue from running; others may pass it by.
const isHeldUp = (queue, known) => isKept(queue, known, (reason) => !ORDINARY.has(reason.code));

function* ofQueues({ queues, why, health }) {
  for (const queue of queues ?? []) {
    if (!queue.depth) continue;
    const waiting = format.plural(queue.depth, "task waits", "tasks wait");
    const seconds = queue.oldestQueuedAt ? format.since(queue.oldestQueuedAt) : 0;
    const known = why.get(queue.name);
    const look = known ? { href: taskUrl(known.id), text: "The oldest" } : { href: `${tasksUrl}?queue=${encodeURIComponent(queue.name)}&status=QUEUED`, text: "Its tasks" };
    const late = `the oldest for ${format.age(seconds)}`;
    if (queue.paused) {
      const press = mayRule ? { text: "Resume", act: (node) => resumeQueue(node, queue.name) } : null;
      yield { key: `paused ${queue.name}`, level: "warn", title: `Queue ${queue.name} is paused.`, text: `${waiting}, ${late}.`, look, press };
    } else if (isStuck(queue, known, health)) {
      yield { key: `stuck ${queue.name}`, level: "bad", title: `Queue ${queue.name} is stuck.`, text: `${waiting}, ${late}. ${known?.sentence ?? ""}`, look };
    } else if (isHeldUp(queue, known)) {
      yield { key: `held ${queue.name}`, level: "warn", title: `The oldest task of queue ${queue.name} does not run.`, text: `${waiting}, ${late}. ${known.sentence}`, look };
    } else if (seconds >= LATE_SECONDS) {
      yield { key: `late ${queue.name}`, level: "warn", title: `Queue ${queue.name} is late.`, text: `${waiting}, ${late}. ${known?.sentence ?? ""} More workers would help.`, look };
    }
  }
}

function* ofWorkers({ workers }) {
  for (const worker of workers ?? []) {
    if (!worker.offlineSince || !worker.activeTaskCount) continue; // one that holds nothing harms nobody
    const holds = format.plural(worker.activeTaskCount, "task");
    const until = worker.leaseExpiresAt ? `; the first of them may go to another worker ${format.relative(worker.leaseExpiresAt)}` : "";
    const look = { href: `${tasksUrl}?status=PROCESSING&worker=${worker.id}`, text: "What it holds" };
    const text = `Not heard of for ${format.coarse(format.since(worker.offlineSince))}. It holds ${holds}${until}.`;
    yield { key: `silent ${worker.id}`, level: "warn", title: `Worker ${worker.name} is offline.`, text, look };
  }
}

function* ofDeadLetters({ dead }) {
  const count = dead.reduce((sum, group) => sum + group.count, 0);
  if (!count) return;
  const [worst] = dead;
  const press = mayChange ? { text: "Retry all", act: (node) => performOnMany(node, "retry", deadLetterFilter(null)) } : null;
  const text = `Most often, ${format.plural(worst.count, "time")}: ${worst.name}, ${worst.gist || "without an error text"}`;
  yield { key: "dead", level: "warn", title: `${format.plural(count, "dead letter")} ${count === 1 ? "waits" : "wait"} for somebody.`, text, look: { href: `${tasksUrl}?status=DEAD_LETTER`, text: "Look" }, press };
}

export function showVerdict(state) {
  const found = findings(state);
  const worst = found.length ? found[0].level : state.health && state.queues ? "good" : "wait";
  part("verdict").dataset.level = worst;
  const words = { good: "All is well", wait: "Looking…", warn: `${format.plural(found.length, "thing")} to look at`, bad: `${format.plural(found.length, "thing")} to look at` };
  say(part("verdict-title"), words[worst]);
  list(part("findings"), found, (finding) => finding.key, make, (node, finding) => {
    node.dataset.level = finding.level;
    say(node.querySelector("strong"), finding.title);
    say(node.querySelector("span"), finding.text);
    const link = node.querySelector("a");
    if (link && link.getAttribute("href") !== finding.look.href) {
      link.href = finding.look.href;
      say(link, finding.look.text);
    }
  });
}

function make({ look, press }) {
  const actions = el("div.actions");
  if (look) actions.append(el("a.button.small", { href: look.href }, look.text));
  if (press) actions.append(el("button.primary.small", { type: "button", onclick: (event) => press.act(event.currentTarget) }, press.text));
  return el("li", {}, el("p", {}, el("strong"), " ", el("span")), actions);
}
