// The tables of the overview: queues, workers with what they run, schedules, dead letters by their error.

import { cell, el, part, say, table } from "./dom.js";
import * as format from "./format.js";
import { live, mayChange, mayRule, perform, performOnMany, taskUrl, tasksUrl } from "./shell.js";

const MOST_SHOWN = 6; // of what one worker runs

const listUrl = (filter) => `${tasksUrl}?${new URLSearchParams(filter)}`;
const badge = (kind, text) => el(`span.badge.${kind}`, {}, text);
const empty = (text, ...more) => el("p.nothing", {}, text, ...more);
const button = (text, act, kind = "plain") =>
  el(`button.${kind}.small`, { type: "button", onclick: (event) => act(event.currentTarget) }, text);

const actions = (...buttons) => el("span.actions", {}, ...buttons);

// --- queues ------------------------------------------------------------------------------------------------------------

async function pause(node, name, stop) {
  const field = stop ? "pauseQueue" : "resumeQueue";
  await perform(node, () => live.ask(`mutation ($name: String!) { ${field}(name: $name) { name } }`, { name }), () =>
    stop ? `Queue ${name} hands out nothing until it is resumed.` : `Queue ${name} goes on.`);
}

export const resumeQueue = (node, name) => pause(node, name, false);

const serves = (worker, queue) => worker.isOnline && (!worker.queues.length || worker.queues.includes(queue.name));

export function showQueues(queues, workers, stuck) {
  say(part("queues-count"), queues.length || "");
  table(part("queues"), queues, (queue) => queue.name, (queue) => {
    const serving = workers ? workers.filter((worker) => serves(worker, queue)).length : "–";
    const oldest = queue.oldestQueuedAt ? format.age(format.since(queue.oldestQueuedAt)) : "–";
    return [
      cell(el("a", { href: listUrl({ queue: queue.name }) }, queue.name), queue.name),
      queueState(queue, serving, stuck),
      format.count(queue.depth),
      format.count(queue.processing),
      oldest,
      String(serving),
      mayRule
        ? cell(actions(button(queue.paused ? "Resume" : "Pause", (node) => pause(node, queue.name, !queue.paused))), queue.paused)
        : "",
    ];
  }, empty("No queue has had a task yet."));
}

function queueState(queue, serving, stuck) {
  if (queue.paused) return cell(badge("warn", "paused"), "paused");
  if (stuck.has(queue.name)) return cell(badge("bad", "stuck"), "stuck");
  if (serving === 0 && queue.depth) return cell(badge("bad", "no worker"), "no worker");
  return cell(badge("good", "open"), "open");
}

// --- workers -----------------------------------------------------------------------------------------------------------

export function showWorkers(workers, running) {
  say(part("workers-count"), workers.length || "");
  const inOrder = [...workers].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  table(part("workers"), inOrder, (worker) => worker.id, (worker) => {
    const own = running.filter((task) => task.worker?.id === worker.id);
    const title = worker.hostname === worker.name ? "" : worker.hostname;
    return [
      cell(el("span", {}, worker.name, el("small.quiet", {}, ` ${title} ${worker.transport} ${worker.version}`)), worker.name),
      workerState(worker),
      `${worker.activeTaskCount} / ${worker.concurrency}`,
      runsNow(worker, own),
      worker.queues.join(", ") || "all",
      format.relative(worker.lastHeartbeat),
    ];
  }, empty("No worker has signed on. Start one: ", el("code", {}, "manage.py runworker")));
}

const rank = (worker) => (worker.offlineSince ? 0 : worker.isOnline ? 1 : 2);

function workerState(worker) {
  if (worker.offlineSince) {
    const leases = worker.leaseExpiresAt && new Date(worker.leaseExpiresAt) > format.present();
    const words = `for ${format.coarse(format.since(worker.offlineSince))}${leases ? `, its leases end ${format.relative(worker.leaseExpiresAt)}` : ""}`;
    return cell(el("span", {}, badge("bad", "offline"), el("small.quiet", {}, ` ${words}`)), words);
  }
  if (worker.status === "STOPPING") return cell(badge("warn", "stopping"), "stopping");
  return worker.isOnline ? cell(badge("good", "online"), "online") : cell(badge("idle", "stopped"), "stopped");
}

function runsNow(worker, own) {
  const shown = own.toSorted((a, b) => (a.startedAt ?? "").localeCompare(b.startedAt ?? "")).slice(0, MOST_SHOWN);
  const hidden = worker.activeTaskCount - shown.length;
  if (!worker.activeTaskCount) return cell(el("span.quiet", {}, "–"), "idle");
  const tasks = shown.map((task) => {
    const age = task.startedAt ? format.coarse(format.since(task.startedAt)) : "";
    const progress = task.progress === null ? "" : ` ${task.progress} %`;
    return el("a.running", { href: taskUrl(task.id), title: task.name }, task.title, el("small", {}, `${progress} ${age}`));
  });
  const more = hidden > 0 && el("a.quiet", { href: listUrl({ status: "PROCESSING", worker: worker.id }) }, `${hidden} more`);
  return cell(el("span.runs", {}, ...tasks, more || null), shown.map((task) => [task.id, task.progress, Math.floor(format.since(task.startedAt ?? format.present()))]), hidden);
}

// --- schedules ---------------------------------------------------------------------------------------------------------

async function steer(node, field, schedule, done, again) {
  await perform(node, () => live.ask(`mutation ($id: ID!) { answer: ${field}(id: $id) { id } }`, { id: schedule.id }), done);
  again();
}

export function showSchedules(schedules, again) {
  say(part("schedules-count"), schedules.length || "");
  const next = (schedule) => (schedule.nextRunAt ? Date.parse(schedule.nextRunAt) : Infinity);
  const inOrder = [...schedules].sort((a, b) => next(a) - next(b) || a.name.localeCompare(b.name));
  table(part("schedules"), inOrder, (schedule) => schedule.id, (schedule) => {
    const over = schedule.paused ? badge("warn", "paused") : badge("idle", "ended");
    const run = button("Run now", (node) => steer(node, "runScheduleNow", schedule, ({ answer }) =>
      ["A task was created.", "right", { href: taskUrl(answer.id), text: "Look at it" }], again));
    const toggle = schedule.paused
      ? button("Resume", (node) => steer(node, "resumeSchedule", schedule, () => `${schedule.title} goes on.`, again))
      : button("Pause", (node) => steer(node, "pauseSchedule", schedule, () => `${schedule.title} is paused.`, again));
    return [
      cell(el("span", {}, schedule.title, schedule.title === schedule.name ? null : el("small.quiet", {}, ` ${schedule.name}`)), schedule.title),
      schedule.timing,
      schedule.nextRunAt ? cell(el("time", { dateTime: schedule.nextRunAt, title: format.moment(schedule.nextRunAt) }, format.relative(schedule.nextRunAt)), format.relative(schedule.nextRunAt)) : cell(over, schedule.paused),
      schedule.lastRunAt ? format.relative(schedule.lastRunAt) : "never",
      mayChange ? cell(actions(run, toggle), schedule.paused) : "",
    ];
  }, empty("Nothing recurs. A task with a ", el("code", {}, "cronExpression"), " makes a schedule."));
}

// --- dead letters ------------------------------------------------------------------------------------------------------

export const deadLetterFilter = (group) => ({
  status: ["DEAD_LETTER"],
  ...(group ? { name: group.name, ...(group.commonText ? { error: group.commonText } : {}) } : {}),
});

export function showDeadLetters(groups, again) {
  const total = groups.reduce((sum, group) => sum + group.count, 0);
  say(part("dead-count"), total ? format.count(total) : "");
  table(part("dead"), groups, (group) => `${group.name} ${group.gist}`, (group) => {
    const list = listUrl({ status: "DEAD_LETTER", name: group.name, ...(group.commonText ? { error: group.commonText } : {}) });
    const retry = button("Retry all", async (node) => {
      await performOnMany(node, "retry", deadLetterFilter(group));
      again();
    });
    return [
      cell(el("a.gist", { href: list }, group.gist || "no error text"), group.gist, list),
      group.name,
      format.count(group.count),
      cell(el("a", { href: taskUrl(group.latestId) }, format.relative(group.latestAt)), format.relative(group.latestAt), group.latestId),
      mayChange ? cell(actions(retry), group.commonText) : "",
    ];
  }, empty("None. Tasks whose attempts are used up gather here."));
}
