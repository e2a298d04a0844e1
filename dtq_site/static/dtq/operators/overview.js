// The overview: what is asked, how often, and who shows it.

import { tell } from "./history.js";
import { showDeadLetters, showQueues, showSchedules, showWorkers } from "./panels.js";
import { keepLooking, live, notice } from "./shell.js";
import { since } from "./format.js";
import { isStuck, LOOKED_AFTER_SECONDS, showVerdict } from "./verdict.js";

const BUSY_MS = 2500;
const CALM_MS = 10_000;
const MOST_EXPLAINED = 5;
const WORKER = "id name hostname queues concurrency transport version activeTaskCount isOnline status lastHeartbeat offlineSince leaseExpiresAt";

const state = { health: null, queues: null, workers: null, running: [], why: new Map(), dead: [] };

function show() {
  const { queues, workers } = state;
  if (queues) {
    const stuck = queues.filter((queue) => isStuck(queue, state.why.get(queue.name), state.health));
    showQueues(queues, workers, new Set(stuck.map((queue) => queue.name)));
    const oldest = queues.map((queue) => queue.oldestQueuedAt).filter(Boolean).sort()[0] ?? null;
    const sum = (name) => queues.reduce((all, queue) => all + queue[name], 0);
    tell({ depth: sum("depth"), oldest, running: sum("processing") });
  }
  if (workers) {
    showWorkers(workers, state.running);
    const online = workers.filter((worker) => worker.isOnline);
    tell({ slots: online.reduce((all, worker) => all + worker.concurrency, 0), online: online.length });
  }
  showVerdict(state);
}

// --- live --------------------------------------------------------------------------------------------------------------

const failed = (error) => notice(error.message, "wrong");

live.follow("subscription { queueStats { name paused depth processing oldestQueuedAt } }", {}, ({ queueStats }) => {
  state.queues = queueStats;
  show();
}, failed);

live.follow(`subscription { workerStatusChanged { ${WORKER} } }`, {}, ({ workerStatusChanged: changed }) => {
  if (!state.workers) return;
  state.workers = [...state.workers.filter((worker) => worker.id !== changed.id), changed];
  show();
}, failed);

// --- asked -------------------------------------------------------------------------------------------------------------

keepLooking(async () => {
  const answer = await live.ask(`{
    workers { ${WORKER} }
    tasks(status: PROCESSING, limit: 200) { id name title startedAt progress worker { id } } }`);
  state.workers = answer.workers;
  state.running = answer.tasks;
  show();
}, BUSY_MS);

const lookAround = keepLooking(async () => {
  const answer = await live.ask(`{
    health { checks { name status error } }
    deadLetterGroups(limit: 8) { name gist count latestAt latestId commonText }
    schedules { id name title timing nextRunAt lastRunAt paused } }`);
  state.health = answer.health;
  state.dead = answer.deadLetterGroups;
  showDeadLetters(state.dead, lookAround);
  showSchedules(answer.schedules, lookAround);
  state.why = await explained(state.queues ?? []);
  show();
}, CALM_MS);

// Why the oldest task of each of the queues that wait longest does not run.
async function explained(queues) {
  const waiting = queues.filter((queue) => queue.oldestQueuedAt && since(queue.oldestQueuedAt) >= LOOKED_AFTER_SECONDS);
  const longest = waiting.sort((a, b) => a.oldestQueuedAt.localeCompare(b.oldestQueuedAt)).slice(0, MOST_EXPLAINED);
  const answers = await Promise.all(longest.map(explain));
  return new Map(answers.filter(Boolean));
}

async function explain({ name }) {
  const { tasks } = await live.ask(
    "query ($queue: String!) { tasks(queue: $queue, status: QUEUED, orderBy: OLDEST, limit: 1) { id } }", { queue: name });
  if (!tasks.length) return null; // those of other teams
  const [{ id }] = tasks;
  const { explain: why } = await live.ask("query ($id: ID!) { explain(id: $id) { sentence reasons { code } } }", { id });
  return [name, { id, ...why }];
}

setInterval(() => live.state.kind === "live" && !document.hidden && show(), 1000); // ages grow although nothing happens
