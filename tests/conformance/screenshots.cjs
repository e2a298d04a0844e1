// Takes the pictures of the README. Arguments: the browser's program, the server's address, a user name, a password, the folder for
// the pictures, and the id of the task whose page is shown.
"use strict";

const { chromium } = require("playwright-core");

const [program, server, username, password, folder, task] = process.argv.slice(2);

async function take(browser, colorScheme) {
  const context = await browser.newContext({ colorScheme, locale: "en-GB", viewport: { width: 1280, height: 942 } });
  const page = await context.newPage();
  await page.goto(`${server}/`);
  await page.getByLabel("User name or e-mail").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByText("2 things to look at").waitFor();
  await page.locator("[data-part=dead] tr").first().waitFor();
  await page.locator("[data-part=workers] a.running", { hasText: "%" }).first().waitFor();
  await page.locator("[data-part=schedules] tr").first().waitFor();
  await page.screenshot({ path: `${folder}/overview-${colorScheme}.png` });

  await page.goto(`${server}/tasks/${task}`);
  await page.locator("[data-part=logs]").getByText("503").first().waitFor();
  await page.screenshot({ path: `${folder}/task-${colorScheme}.png` });
  await context.close();
}

(async () => {
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
  for (const colorScheme of ["light", "dark"]) await take(browser, colorScheme);
  await browser.close();
})().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
