// The past of the whole installation: the charts, and the figures above them. The charts grow by what is new, and forget what
// has left their range, so an open page needs no more memory after a day than after a minute.

import { TimeChart } from "./charts.js";
import { el, list, part, say } from "./dom.js";
import * as format from "./format.js";
import { keepLooking, live, onKey } from "./shell.js";

const RANGES = {
  "5m": [300, "5 min"],
  "15m": [900, "15 min"],
  "1h": [3600, "1 h"],
  "6h": [21_600, "6 h"],
  "24h": [86_400, "24 h"],
  "7d": [604_800, "7 d"],
  "30d": [2_592_000, "30 d"],
};
const DEFAULT = "1h";
const LOOK_MS = 2000;
const OPEN_SECONDS = 4; // a stretch that has just begun tells nothing yet
const MOST_QUEUES = 6;
const COUNTS = ["created", "completed", "failed", "deadLettered", "cancelled", "retried", "lost"];
const SHARES = ["p50", "p95", "p99"];

const QUERY = `query ($seconds: Int, $after: DateTime) {
  history(seconds: $seconds, after: $after) {
    stepSeconds at seconds ${COUNTS.join(" ")}
    wait { p50 p95 p99 } run { p50 p95 p99 }
    queues { name depth }
    totals { seconds completed failed deadLettered retried lost waitP50 waitP95 waitP99 runP50 runP95 runP99 }
  }
}`;

// The stretches that are known, each an object, the last of which is still growing.
class Past {
  stretches = [];
  totals = null;
  step = 10;
  queriedAt = 0;

  get after() {
    return this.stretches.at(-2)?.at ?? null;
  }

  add(history, span) {
    this.step = history.stepSeconds;
    this.totals = history.totals;
    const fresh = history.at.map((at, index) => ({
      at,
      time: Date.parse(at) / 1000,
      seconds: history.seconds[index],
      queues: Object.fromEntries(history.queues.map((queue) => [queue.name, queue.depth[index]])),
      ...Object.fromEntries(COUNTS.map((name) => [name, history[name][index]])),
      ...Object.fromEntries(["wait", "run"].map((name) => [name, SHARES.map((share) => history[name][share][index])])),
    }));
    const known = this.after === null ? [] : this.stretches.slice(0, -1);
    const now = fresh.at(-1)?.time ?? 0; // the server's, whatever the clock of this machine says
    this.stretches = [...known, ...fresh].filter((stretch) => stretch.time >= now - span);
  }

  // Tasks a second over the last stretches that make up half a minute at least.
  recentRate() {
    let tasks = 0;
    let seconds = 0;
    for (let index = this.stretches.length - 1; index >= 0 && seconds < 30; index--) {
      tasks += this.stretches[index].completed;
      seconds += this.stretches[index].seconds;
    }
    return seconds ? tasks / seconds : 0;
  }
}

let past = new Past();
const range = () => {
  const asked = new URLSearchParams(location.search).get("range");
  return asked in RANGES ? asked : DEFAULT;
};

const charts = Object.fromEntries(
  Object.entries({ throughput: format.rate, depth: format.short, wait: format.duration, run: format.duration }).map(
    ([name, value]) => [name, new TimeChart(document.querySelector(`[data-chart=${name}]`), value)],
  ),
);

async function look() {
  const pause = Math.min((past.step * 1000) / 2, 60_000) - 500;
  if (Date.now() - past.queriedAt < pause) return;
  const asked = past;
  const [seconds] = RANGES[range()];
  const { history } = await live.ask(QUERY, { seconds, after: asked.after });
  if (asked !== past) return; // another range was chosen meanwhile
  asked.queriedAt = Date.now();
  asked.add(history, seconds);
  if (history.at.length) format.keepTime(history.at.at(-1));
  draw();
}

function draw() {
  const to = past.stretches.at(-1)?.time ?? Date.now() / 1000;
  const from = to - RANGES[range()][0];
  const settled = past.stretches.filter((stretch, index) => index < past.stretches.length - 1 || stretch.seconds >= OPEN_SECONDS);
  const at = settled.map((stretch) => stretch.time);
  const perSecond = (...names) =>
    settled.map((stretch) => names.reduce((sum, name) => sum + stretch[name], 0) / stretch.seconds);
  const shares = (name) =>
    SHARES.map((label, index) => ({ label, colour: `--share-${index + 1}`, values: settled.map((stretch) => stretch[name][index]) }));
  charts.throughput.show(at, [
    { label: "completed", colour: "--good", values: perSecond("completed"), filled: true },
    { label: "retried", colour: "--warn", values: perSecond("retried") },
    { label: "failed", colour: "--bad", values: perSecond("failed", "deadLettered") },
  ], from, to);
  charts.depth.show(at, depths(settled), from, to);
  charts.wait.show(at, shares("wait"), from, to);
  charts.run.show(at, shares("run"), from, to);
  showTiles();
}

function depths(stretches) {
  const peaks = {};
  for (const { queues } of stretches) {
    for (const [name, depth] of Object.entries(queues)) peaks[name] = Math.max(peaks[name] ?? 0, depth);
  }
  const deepest = Object.keys(peaks).sort((a, b) => peaks[b] - peaks[a]).slice(0, MOST_QUEUES).sort();
  const lines = deepest.map((label, index) => ({
    label,
    colour: `--series-${index + 1}`,
    values: stretches.map(({ queues }) => queues[label] ?? 0),
  }));
  return lines.length ? lines : [{ label: "all queues", colour: "--series-1", values: stretches.map(() => 0) }];
}

// --- the figures above the charts --------------------------------------------------------------------------------------

let now = { depth: null, oldest: null, running: null, slots: null, online: null };

// What the panels know of the present.
export function tell(present) {
  now = { ...now, ...present };
  showTiles();
}

function showTiles() {
  const totals = past.totals ?? { completed: 0, failed: 0, deadLettered: 0, retried: 0, lost: 0 };
  const wrong = totals.failed + totals.deadLettered;
  const ended = totals.completed + wrong;
  const word = RANGES[range()][1];
  const known = (value, show) => (value === null || value === undefined ? "–" : show(value));
  const tiles = [
    ["Finished", `${format.rate(past.recentRate())}/s`, `${format.short(totals.completed)} in ${word}`],
    ["Failures", ended ? format.percent(wrong / ended) : "–", `${format.short(wrong)} failed, ${format.short(totals.retried)} retried`, wrong > 0 && wrong / ended > 0.05 ? "bad" : ""],
    ["Ready to start, p95", format.duration(totals.waitP95), `p50 ${format.duration(totals.waitP50)}, p99 ${format.duration(totals.waitP99)}`],
    ["Run time, p95", format.duration(totals.runP95), `p50 ${format.duration(totals.runP50)}, p99 ${format.duration(totals.runP99)}`],
    ["Waiting", known(now.depth, format.short), now.oldest ? `oldest for ${format.age(format.since(now.oldest))}` : "nothing waits"],
    ["Running", known(now.running, format.short), now.slots === null ? "" : `${format.plural(now.slots, "slot")} of ${format.plural(now.online, "worker")}`],
  ];
  list(part("tiles"), tiles, ([name]) => name, ([name]) => el("div.tile.card", {}, el("dt", {}, name), el("dd"), el("dd.quiet")), (node, tile) => {
    say(node.children[1], tile[1]);
    say(node.children[2], tile[2]);
    node.dataset.level = tile[3] ?? "";
  });
}

// --- which range -------------------------------------------------------------------------------------------------------

function showRanges() {
  list(part("ranges"), Object.entries(RANGES), ([name]) => name, ([name, [, label]]) =>
    el("button", { type: "button", onclick: () => choose(name) }, label), (node, [name]) =>
    node.setAttribute("aria-pressed", String(name === range())));
}

function choose(name) {
  const url = new URL(location.href);
  if (name === DEFAULT) url.searchParams.delete("range");
  else url.searchParams.set("range", name);
  history.pushState(null, "", url);
  begin();
}

function begin() {
  past = new Past();
  showRanges();
  again();
}

Object.keys(RANGES).forEach((name, index) => onKey(String(index + 1), () => choose(name)));
addEventListener("popstate", begin);
showRanges();
showTiles();
const again = keepLooking(look, LOOK_MS);
