// Uses the page /graphql as a person does, in Chromium: signs in, runs a query, follows all tasks while one is created.
// Arguments: the browser's program, the server's address, a user name, a password. Writes what it saw as JSON.
"use strict";

const { chromium } = require("playwright-core");

const [program, server, username, password] = process.argv.slice(2);
const CREATE = 'mutation { createTask(input: { name: "job", delaySeconds: 3600 }) { id } }';

(async () => {
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
  const page = await browser.newPage();
  const complaints = [];
  const hosts = new Set();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  for (const event of ["request", "websocket"]) page.on(event, (each) => hosts.add(new URL(each.url()).host));

  const shown = (text) => page.locator(".result-window", { hasText: text }).waitFor();
  const run = async (example, keyword, begun) => {
    await page.locator(".graphiql-tab").nth(example - 1).locator("button").first().click();
    await page.locator(".graphiql-query-editor", { hasText: `${keyword} ` }).waitFor();
    // For a moment the console takes the operation of the tab before it for the one to run, and is told that it is unknown.
    const refused = () => shown("Unknown operation").then(() => false);
    do await page.locator("button.graphiql-execute-button").click();
    while (!(await Promise.race([begun().then(() => true), refused()])));
  };

  await page.goto(`${server}/graphql`);
  await page.locator("[name=username]").fill(username);
  await page.locator("[name=password]").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("[data-part=signed-in]").waitFor();

  await run(1, "query", () => shown(username));

  const acknowledged = page.waitForEvent("websocket").then((socket) => socket.waitForEvent("framereceived"));
  await run(3, "subscription", () => acknowledged);
  const created = await page.evaluate(async (query) => {
    const { access_token: token } = JSON.parse(sessionStorage.getItem("dtq.console.session"));
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query }) });
    return (await response.json()).data.createTask.id;
  }, CREATE);
  await shown(created);

  await browser.close();
  process.stdout.write(JSON.stringify({ hosts: [...hosts], complaints }));
})().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
