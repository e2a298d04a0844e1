// Uses the API as an application does, through the client graphql-ws: asks, changes, follows, is refused, comes back.
// Arguments: the address of the socket and an access token. Writes what it saw as JSON.
"use strict";

const { createClient } = require("graphql-ws");
const WebSocket = require("ws");

const [url, token] = process.argv.slice(2);
const CREATE = 'mutation { createTask(input: { name: "job", delaySeconds: 3600 }) { id } }';
const CANCEL = "mutation ($id: ID!) { cancelTask(id: $id) { id } }";
const FOLLOW = "subscription ($id: ID!) { taskUpdated(id: $id, since: 0) { status } }";

const first = async (client, request) => (await client.iterate(request).next()).value;

const refused = (client, request) =>
  new Promise((resolve) => {
    const sink = { next: () => resolve("next"), error: resolve, complete: () => resolve("complete") };
    client.subscribe(request, sink);
  });

(async () => {
  const saw = { pings: 0, opened: 0 };
  let socket;
  const client = createClient({
    url,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${token}` },
    lazy: false,
    keepAlive: 200,
    on: {
      opened: (opened) => { socket = opened; saw.opened += 1; },
      pong: (received) => { saw.pings += received ? 1 : 0; },
    },
  });
  const { id } = (await first(client, { query: CREATE })).data.createTask;

  const statuses = client.iterate({ query: FOLLOW, variables: { id } });
  saw.statuses = [(await statuses.next()).value.data.taskUpdated.status];
  const next = statuses.next();
  socket.terminate();
  const again = await next; // the client has connected and subscribed again by itself
  saw.statuses.push(again.value.data.taskUpdated.status);
  await first(client, { query: CANCEL, variables: { id } });
  saw.statuses.push((await statuses.next()).value.data.taskUpdated.status);
  await statuses.return();

  saw.invalid = (await refused(client, { query: "{ nothing }" })).map((error) => error.extensions.code);
  saw.syntax = (await refused(client, { query: "{" })).map((error) => error.extensions.code);
  saw.field = (await first(client, { query: "{ task(id: 1) { id } }" })).errors.map((error) => error.extensions.code);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await client.dispose();

  const stranger = createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0, connectionParams: { token: "no token" } });
  saw.stranger = (await refused(stranger, { query: "{ me { id } }" })).code;
  process.stdout.write(JSON.stringify(saw));
})();
