// What happened to a task, in order: made from its moments and from how its attempts ended.

import { el, list } from "./dom.js";
import * as format from "./format.js";

const ENDINGS = {
  failed: ["warn", (each) => `Attempt ${each.attempt} failed`],
  discarded: ["bad", (each) => `Attempt ${each.attempt} gave up: another would not help`],
  lost: ["bad", (each) => `Attempt ${each.attempt} was lost with its worker`],
  cancelled: ["", (each) => `Attempt ${each.attempt} was cancelled`],
  refused: ["warn", (each) => `Attempt ${each.attempt} reported too late and was refused`],
};
const LAST = {
  COMPLETED: ["good", "Completed"],
  FAILED: ["bad", "Failed"],
  DEAD_LETTER: ["bad", "A dead letter: its attempts are used up"],
  CANCELLED: ["", "Cancelled"],
};

function events(task) {
  const found = [{ at: task.createdAt, text: task.user ? `Created by ${task.user.username}` : "Created" }];
  for (const each of task.endings) {
    const [level, words] = ENDINGS[each.ending] ?? ["", () => each.ending];
    found.push({ at: each.endedAt, level, text: words(each), error: each.error });
  }
  if (task.startedAt) {
    const running = task.status === "PROCESSING";
    const by = running && task.worker ? ` by ${task.worker.name}` : "";
    found.push({ at: task.startedAt, level: running ? "now" : "", text: `Attempt ${task.attempts} started${by}` });
  }
  if (task.queuedAt && task.queuedAt !== task.createdAt) found.push({ at: task.queuedAt, text: "Ready" });
  if (task.status in LAST) {
    const [level, text] = LAST[task.status];
    found.push({ at: task.completedAt ?? task.updatedAt, level, text });
  }
  found.sort((a, b) => a.at.localeCompare(b.at));
  if (task.status === "PENDING") found.push({ at: task.scheduledAt, level: "now", text: task.scheduledAt ? "Not before" : "Waits" });
  if (task.status === "QUEUED") found.push({ at: null, level: "now", text: "Waits for a worker" });
  return found;
}

export function showTimeline(parent, task) {
  let before = null;
  const shown = events(task).map((event) => {
    const passed = before && event.at ? (new Date(event.at) - new Date(before)) / 1000 : 0;
    before = event.at ?? before;
    return { ...event, passed };
  });
  list(parent, shown, (event) => `${event.at} ${event.text}`, make, () => {});
}

function make({ at, text, level, error, passed }) {
  const after = passed >= 0.001 ? ` after ${format.duration(passed)}` : "";
  const time = at && el("time", { dateTime: at, title: format.moment(at) }, format.clock(new Date(at)));
  return el("li", { data: { level: level ?? "" } }, time, text, el("small.quiet", {}, after), error ? el("pre", { tabIndex: 0 }, error) : null);
}
