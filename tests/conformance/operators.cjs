// Uses the pages for operators as people do, in Chromium. Arguments: what to do, the browser's program, the server's address, a
// user name, a password, and the ids of tasks. Writes what it saw as JSON.
"use strict";

const { chromium } = require("playwright-core");

const [scene, program, server, username, password, ...ids] = process.argv.slice(2);

async function signIn(page, address) {
  await page.goto(`${server}${address}`);
  await page.getByLabel("User name or e-mail").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
}

// As another client would, beside the page.
async function ask(query) {
  const headers = { "content-type": "application/json" };
  const login = await fetch(`${server}/auth/login`, { method: "POST", headers, body: JSON.stringify({ username, password }) });
  const { access_token: token } = await login.json();
  const body = JSON.stringify({ query });
  await fetch(`${server}/graphql`, { method: "POST", headers: { ...headers, authorization: `Bearer ${token}` }, body });
}

const badge = (page, text) => page.locator(".badge", { hasText: text });
const buttons = (page) => page.locator("main button:visible").allTextContents();
const inView = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

const SCENES = {
  async "find a task, see it change, retry another"(page) {
    const [waiting, dead] = ids;
    await signIn(page, "/tasks?status=DEAD_LETTER");
    await page.locator(`a[href="/tasks/${dead}"]`).waitFor();
    const first = new URL(page.url()).search;
    const listed = await page.locator("tbody tr").count();

    await page.getByRole("button", { name: "All", exact: true }).click();
    const row = page.locator("tr", { has: page.locator(`a[href="/tasks/${waiting}"]`) });
    await badge(row, "Pending").waitFor();
    await ask(`mutation { cancelTask(id: "${waiting}") { id } }`);
    await badge(row, "Cancelled").waitFor();

    await page.keyboard.press("/");
    await page.keyboard.type("daily");
    await page.waitForURL(/search=daily/);
    await page.reload();
    await page.getByText("1 task", { exact: true }).waitFor();
    const kept = await page.getByLabel("Search").inputValue();
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/tasks\/./);
    await badge(page, "Dead letter").waitFor();
    const offered = await buttons(page);
    await page.keyboard.press("r");
    await badge(page, "Queued").waitFor();
    return { first, listed, kept, offered };
  },

  async "clone a task with another payload"(page) {
    await signIn(page, `/tasks/${ids[0]}`);
    await badge(page, "Dead letter").waitFor();
    await page.keyboard.press("d");
    const payload = page.getByLabel("Payload, a JSON object");
    await payload.fill("{");
    await page.getByRole("button", { name: "Create the task" }).click();
    const refused = await page.locator("#clone-problem").textContent();
    await payload.fill('{"reportType": "edited"}');
    await page.getByRole("button", { name: "Create the task" }).click();
    await page.waitForURL((url) => url.pathname.startsWith("/tasks/") && !url.pathname.endsWith(ids[0]));
    await page.getByText('"edited"').waitFor();
    return { refused: refused.split(":")[0] };
  },

  async "look at everything"(page) {
    await signIn(page, "/");
    await page.getByText("No scheduler runs.").waitFor();
    await page.locator("[data-part=queues] tr", { hasText: "default" }).first().waitFor();
    await page.locator("[data-part=dead] tr", { hasText: "broken" }).waitFor();
    const seen = { overview: (await buttons(page)).filter((text) => !/^\d+ (min|h|d)$/.test(text)) };
    await page.goto(`${server}/tasks/${ids[0]}`);
    await badge(page, "Dead letter").waitFor();
    seen.task = await buttons(page);
    await page.goto(`${server}/tasks`);
    await page.locator("tbody a").first().waitFor();
    seen.tasks = (await buttons(page)).filter((text) => /of these/.test(text));
    return seen;
  },

  async "pause and resume a queue"(page) {
    await signIn(page, "/");
    const row = page.locator("[data-part=queues] tr", { hasText: "default" }).first();
    await row.getByRole("button", { name: "Pause" }).click();
    await badge(row, "paused").waitFor();
    await row.getByRole("button", { name: "Resume" }).click();
    await row.getByRole("button", { name: "Pause" }).waitFor();
    return {};
  },

  async "use a phone in the dark"(page) {
    await page.setViewportSize({ width: 360, height: 740 });
    await signIn(page, "/?range=24h");
    await page.locator("[data-part=queues] tr").first().waitFor();
    const pressed = await page.locator(".ranges [aria-pressed=true]").textContent();
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const fits = [await inView(page)];
    const light = await paper();
    await page.keyboard.press("t");
    const dark = await paper();
    for (const address of ["/tasks", `/tasks/${ids[0]}`]) {
      await page.goto(`${server}${address}`);
      await badge(page, "Dead letter").first().waitFor();
      fits.push(await inView(page));
    }
    return { pressed, fits, kept: (await paper()) === dark, differs: light !== dark };
  },

  async "lose the connection and find it again"(page) {
    let open = null;
    let blocked = false;
    await page.routeWebSocket(/graphql/, (socket) => {
      if (blocked) return socket.close({ code: 1011 });
      socket.connectToServer();
      open = socket;
      return undefined;
    });
    await signIn(page, "/");
    blocked = true;
    await open.close({ code: 1011 });
    const banner = page.locator("[data-part=outage]");
    await banner.waitFor();
    const said = (await banner.textContent()).trim().split(" since ")[0];
    blocked = false;
    await page.getByRole("button", { name: "Try now" }).click();
    await banner.waitFor({ state: "hidden" });
    await page.getByText("Live", { exact: true }).waitFor();
    return { said };
  },

  async "hear nothing more and notice it"(page) {
    let silent = false;
    let speakAgain;
    const untilItSpeaks = new Promise((resolve) => (speakAgain = resolve));
    await page.clock.install();
    await page.routeWebSocket(/graphql/, (socket) => {
      const further = socket.connectToServer();
      socket.onMessage((message) => silent || further.send(message));
      further.onMessage((message) => silent || socket.send(message));
    });
    await signIn(page, "/");
    await page.locator("[data-part=workers] tr").first().waitFor();
    // No new connection meanwhile: the clock's leaps would be its time limit.
    await page.route("**/sign-in/token", (route) => untilItSpeaks.then(() => route.continue()));
    silent = true;
    const banner = page.locator("[data-part=outage]");
    for (let tries = 0; tries < 20 && !(await banner.isVisible()); tries += 1) await page.clock.fastForward(5000);
    const said = (await banner.textContent()).includes("takes too long");
    silent = false;
    speakAgain();
    await banner.waitFor({ state: "hidden" });
    await page.getByText("Live", { exact: true }).waitFor();
    return { said };
  },

  async "be refused a token, and given one"(page) {
    let refused = 0;
    let loaded = 0;
    let refusing = false;
    page.on("load", () => (loaded += 1));
    await page.route("**/sign-in/token", (route) => {
      if (!refusing) return route.continue();
      refused += 1;
      return route.fulfill({ status: 403 });
    });
    await signIn(page, "/");
    refusing = true;
    loaded = 0;
    await page.reload();
    const banner = page.locator("[data-part=outage]");
    await banner.waitFor();
    const said = (await banner.textContent()).includes("reload it");
    refusing = false;
    await page.getByRole("button", { name: "Try now" }).click();
    await page.getByText("Live", { exact: true }).waitFor();
    return { said, loaded, patient: refused < 8 };
  },

  async "look at what workers keep"(page) {
    await signIn(page, `/tasks/${ids[0]}`);
    await badge(page, "Running").waitFor();
    const kept = await buttons(page);
    await page.goto(`${server}/tasks/${ids[1]}`);
    await badge(page, "Running").waitFor();
    return { kept, cutOff: await buttons(page) };
  },

  async "stay on the link to the task that another one waits for"(page) {
    let looks = 0;
    await page.routeWebSocket(/graphql/, (socket) => {
      const further = socket.connectToServer();
      further.onMessage((message) => {
        looks += message.toString().includes('"explain"');
        socket.send(message);
      });
    });
    await signIn(page, `/tasks/${ids[0]}`);
    const link = page.locator("#why-title").getByRole("link", { name: "That task" });
    await link.focus();
    for (const before = looks; looks < before + 3; ) await page.waitForTimeout(100);
    return { focused: await link.evaluate((node) => node === document.activeElement), leads: await link.getAttribute("href") };
  },

  async "follow the link of a group of dead letters, as it becomes"(page) {
    let answered = null;
    await page.routeWebSocket(/graphql/, (socket) => {
      const further = socket.connectToServer();
      further.onMessage((message) => {
        if (answered === null) return socket.send(message);
        return socket.send(message.toString().replace(/"commonText": ?"[^"]*"/, `"commonText": "${answered}"`));
      });
    });
    await page.clock.install();
    await signIn(page, "/");
    const link = page.locator("[data-part=dead] a.gist");
    await link.waitFor();
    const before = new URL(await link.getAttribute("href"), server).searchParams.get("error");
    answered = "another text";
    await page.clock.fastForward(11_000);
    await page.locator('[data-part=dead] a.gist[href*="another"]').waitFor();
    return { before };
  },

  async "look with a clock that is two hours ahead"(page) {
    await page.clock.install({ time: Date.now() + 7_200_000 });
    await signIn(page, "/");
    await page.locator(".tile", { hasText: "Waiting" }).getByText(/oldest for (< 1|\d+) s/).waitFor();
    return {};
  },

  async "see which queues are stuck"(page) {
    await signIn(page, "/");
    await page.getByText("does not run.").waitFor();
    const titles = await page.locator("[data-part=findings] strong").allTextContents();
    await badge(page, "stuck").waitFor();
    return { found: titles.filter((title) => /queue/i.test(title)), badges: await badge(page, "stuck").count() };
  },

  async "sign out in one window"(page) {
    await signIn(page, "/");
    const other = await page.context().newPage();
    await other.goto(`${server}/tasks`);
    await other.getByText("Live", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Password").waitFor();
    await other.getByLabel("Password").waitFor();
    return { stored: await other.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]) };
  },
};

(async () => {
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
  const context = await browser.newContext({ colorScheme: "light", locale: "en-GB" });
  const page = await context.newPage();
  const complaints = [];
  const hosts = new Set();
  page.on("console", (message) => {
    const expected = scene === "be refused a token, and given one" && message.text().includes("403");
    if (["error", "warning"].includes(message.type()) && !expected) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  for (const event of ["request", "websocket"]) page.on(event, (each) => hosts.add(new URL(each.url()).host));
  const saw = await SCENES[scene](page);
  await browser.close();
  process.stdout.write(JSON.stringify({ ...saw, hosts: [...hosts], complaints }));
})().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
