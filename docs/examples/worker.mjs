// A worker in Node.js 20, without any package: DTQ_SERVER=https://dtq.example.com/graphql DTQ_TOKEN=dtqw_… node worker.mjs
//
// It follows docs/REMOTE-WORKERS.md: claim with a wait, renew while a handler runs, report until somebody has heard it.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const { DTQ_SERVER, DTQ_TOKEN } = process.env;
const WAIT_SECONDS = 25;
const LEASE_SECONDS = 30;
const RENEW_MS = (LEASE_SECONDS * 1000) / 3;

// A handler gets the payload, and a context with a signal that says when to stop.
const handlers = {
  'word-count': async ({ text }, context) => {
    await context.log(`counting ${text.length} characters`);
    return { words: text.split(/\s+/).filter(Boolean).length };
  },
  'nap': async ({ seconds }, { signal }) => sleep(seconds * 1000, { slept: seconds }, { signal }),
};

// --- asking the server ---------------------------------------------------------------------------------------------

class Refused extends Error {
  constructor({ message, extensions }) {
    super(message);
    Object.assign(this, extensions);
  }
}

async function askOnce(query, variables, signal) {
  const response = await fetch(DTQ_SERVER, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Authorization': `Bearer ${DTQ_TOKEN}` },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.any([AbortSignal.timeout((WAIT_SECONDS + 20) * 1000), ...(signal ? [signal] : [])]),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Refused(errors[0]);
  return data;
}

// Until the server answers: every operation may be repeated. `again` tells the request that it was sent before.
async function ask(query, variables, { signal, again = () => ({}) } = {}) {
  for (let tries = 0; ; tries++) {
    try {
      return await askOnce(query, { ...variables, ...(tries ? again() : {}) }, signal);
    } catch (error) {
      const passes = !(error instanceof Refused) || ['UNAVAILABLE', 'INTERNAL', 'RATE_LIMITED'].includes(error.code);
      if (!passes || signal?.aborted) throw error;
      const seconds = error.retryAfter ?? Math.random() * Math.min(30, 0.2 * 2 ** tries);
      await sleep(seconds * 1000, undefined, { signal });
    }
  }
}

const leaseOf = ({ taskId, fencingToken, claimId }) => ({ taskId, fencingToken, claimId });

// --- one task ------------------------------------------------------------------------------------------------------

async function run(workerId, task) {
  const lease = leaseOf(task);
  const stop = new AbortController();
  const limit = AbortSignal.timeout(task.timeoutSeconds * 1000);
  const renewing = setInterval(() => renew(workerId, lease, stop).catch(() => {}), RENEW_MS);
  let lines = 0;
  const log = (message) => ask(
    'mutation ($w: ID!, $r: [ProgressInput!]!) { recordProgress(workerId: $w, records: $r) }',
    { w: workerId, r: [{ ...lease, attempt: task.attempt, logs: [{ sequence: ++lines, message }] }] },
  );
  const began = performance.now();
  let outcome;
  try {
    if (task.beginFirst && !(await begin(workerId, lease))) return;
    const result = await handlers[task.name](task.payload, { signal: AbortSignal.any([stop.signal, limit]), log });
    outcome = { kind: 'COMPLETED', result: result ?? null };
  } catch (error) {
    outcome = { kind: 'FAILED', error: limit.aborted ? 'the time limit is over' : String(error.stack ?? error) };
  } finally {
    clearInterval(renewing);
  }
  if (stop.signal.reason === 'CANCELLED') return release(workerId, [lease]);
  if (stop.signal.reason === 'LOST' && outcome.kind === 'FAILED') return; // it was stopped because it is somebody else's
  const report = { ...lease, ...outcome, runSeconds: (performance.now() - began) / 1000 };
  const { reportOutcomes: [{ verdict }] } = await ask(
    'mutation ($w: ID!, $o: [OutcomeInput!]!) { reportOutcomes(workerId: $w, outcomes: $o) { taskId verdict } }',
    { w: workerId, o: [report] },
  );
  console.log(`${task.name} ${task.taskId} ${outcome.kind} ${verdict}`);
}

async function renew(workerId, lease, stop) {
  const { renewLeases: [{ verdict }] } = await ask(
    'mutation ($w: ID!, $l: [LeaseInput!]!) { renewLeases(workerId: $w, leases: $l) { verdict } }',
    { w: workerId, l: [lease] },
  );
  if (verdict !== 'RENEWED') stop.abort(verdict);
}

async function begin(workerId, lease) {
  const query = 'mutation ($w: ID!, $l: [LeaseInput!]!) { beginTasks(workerId: $w, leases: $l) }';
  return (await ask(query, { w: workerId, l: [lease] })).beginTasks.length === 1;
}

async function release(workerId, leases) {
  await ask('mutation ($w: ID!, $l: [LeaseInput!]!) { releaseTasks(workerId: $w, leases: $l) }', { w: workerId, l: leases });
}

// --- the worker ----------------------------------------------------------------------------------------------------

const stopping = new AbortController();
for (const name of ['SIGTERM', 'SIGINT']) process.once(name, () => stopping.abort());

const workerId = randomUUID();
const register = () => ask('mutation ($i: WorkerInput!) { registerWorker(input: $i) { id } }', {
  i: { id: workerId, name: 'node', pid: process.pid, handlers: Object.keys(handlers), version: process.version },
});

async function heartbeat(status) {
  const query = 'mutation ($w: ID!, $s: WorkerStatus) { heartbeat(workerId: $w, status: $s) { offlineAfterMs } }';
  try {
    return (await ask(query, { w: workerId, s: status })).heartbeat.offlineAfterMs;
  } catch (error) {
    if (error.code !== 'NOT_FOUND') throw error;
    await register();
  }
}

async function claim() {
  const query = `mutation ($w: ID!, $c: ID!, $wait: Int, $lease: Int, $repeated: Boolean) {
    claimTasks(workerId: $w, claimId: $c, limit: 1, waitSeconds: $wait, leaseSeconds: $lease, repeated: $repeated) {
      taskId fencingToken claimId name payload attempt timeoutSeconds beginFirst } }`;
  const variables = { w: workerId, c: randomUUID(), wait: WAIT_SECONDS, lease: LEASE_SECONDS };
  const again = () => ({ repeated: true });
  return (await ask(query, variables, { signal: stopping.signal, again })).claimTasks;
}

await register();
const beatMs = (await heartbeat('RUNNING')) / 3;
const beating = setInterval(() => heartbeat('RUNNING').catch((error) => console.error(error.message)), beatMs);
console.log(`ready: ${Object.keys(handlers).join(', ')}`);
while (!stopping.signal.aborted) {
  try {
    for (const task of await claim()) await run(workerId, task);
  } catch (error) {
    if (stopping.signal.aborted) break;
    if (error.code !== 'NOT_FOUND') throw error; // UNAUTHENTICATED: its message says what to do
    await register();
  }
}
clearInterval(beating);
await heartbeat('STOPPED');
