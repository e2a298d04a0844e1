// What every page of operators has: the connection and how it is, keys, theme, questions and notices.

import { el, part, say } from "./dom.js";
import { clock } from "./format.js";
import { Live, Lost } from "./live.js";

const root = part("shell");
export const { role, username, home, tasks: tasksUrl } = root.dataset;
export const mayChange = role === "user" || role === "admin";
export const mayRule = role === "admin";
export const taskUrl = (id) => `${tasksUrl}/${id}`;

export const live = new Live({
  endpoint: root.dataset.endpoint,
  token: root.dataset.token,
  csrf: root.querySelector("[name=csrfmiddlewaretoken]").value,
});

// --- how the connection is ---------------------------------------------------------------------------------------------

const GRACE_MS = 1500; // a blink is not worth a banner

function showConnection() {
  const { kind, since, why } = live.state;
  root.dataset.live = kind;
  say(part("live-text"), { live: "Live", lost: "Offline", connecting: "Connecting" }[kind]);
  const lost = kind === "lost" && Date.now() - since >= GRACE_MS;
  part("outage").hidden = !lost;
  document.body.classList.toggle("is-stale", lost);
  if (lost) {
    say(part("outage-text"), `No connection since ${clock(since)}. ${why} What you see is from then; trying again.`);
  }
}

live.addEventListener("state", showConnection);
setInterval(showConnection, 1000);
part("reconnect").addEventListener("click", () => live.connect());
addEventListener("online", () => live.state.kind === "lost" && live.connect());

// Calls `look` now, whenever the connection is back, and `everyMs` while somebody can see the page. One at a time.
export function keepLooking(look, everyMs) {
  let looking = false;
  const again = async () => {
    if (looking || document.hidden || live.state.kind !== "live") return;
    looking = true;
    try {
      await look();
    } catch (error) {
      if (!(error instanceof Lost)) notice(error.message, "wrong");
    } finally {
      looking = false;
    }
  };
  live.addEventListener("state", () => live.state.kind === "live" && again());
  document.addEventListener("visibilitychange", again);
  setInterval(again, everyMs);
  again();
  return again;
}

// --- notices and questions ---------------------------------------------------------------------------------------------

export function notice(text, kind = "right", link = null) {
  const close = () => node.remove();
  const more = link && el("a", { href: link.href }, link.text);
  const node = el("p", { className: `toast ${kind}` }, el("span", {}, text, more ? " " : null, more));
  node.append(el("button.plain.small", { type: "button", onclick: close, "aria-label": "Dismiss" }, "×"));
  part("toasts").append(node);
  setTimeout(close, kind === "wrong" ? 12_000 : 6_000);
}

// Whether somebody says yes. `body` is text or nodes.
export function confirm({ title, body, yes, grave = false }) {
  const dialog = part("confirm");
  say(part("confirm-title"), title);
  part("confirm-body").replaceChildren(...[body].flat().map((each) => (typeof each === "string" ? el("p", {}, each) : each)));
  say(part("confirm-yes"), yes);
  part("confirm-yes").classList.toggle("grave", grave);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }),
  );
}

// Runs `act` and says what came of it; the button is out of use meanwhile. Returns the answer, or undefined.
export async function perform(button, act, done) {
  if (button) button.disabled = true;
  try {
    const answer = await act();
    if (done) notice(...[done(answer)].flat());
    return answer;
  } catch (error) {
    const doubt = error instanceof Lost ? " Nobody can tell whether it was done: look before you repeat it." : "";
    notice(error.message + doubt, "wrong");
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}

const BULK = {
  retry: ["retryTasks", "Retry", "run again now, with all their attempts anew"],
  cancel: ["cancelTasks", "Cancel", "be called off; running ones stop at their next checkpoint"],
};

// Retries or cancels all tasks that meet a filter, after showing how many they are.
export async function performOnMany(button, verb, filter, all = false) {
  const [field, word, what] = BULK[verb];
  const ask = (dryRun) =>
    live.ask(`mutation ($filter: TaskFilter!, $dryRun: Boolean, $all: Boolean) {
      answer: ${field}(filter: $filter, dryRun: $dryRun, all: $all) { count } }`, { filter, dryRun, all });
  const preview = await perform(button, () => ask(true));
  if (!preview) return;
  const many = preview.answer.count;
  const tasks = many === 1 ? "1 task" : `${many.toLocaleString("en")} tasks`;
  if (!many) return notice(`There is nothing to ${verb}.`, "wrong");
  if (await confirm({ title: `${word} ${tasks}?`, body: `They will ${what}.`, yes: `${word} ${tasks}`, grave: verb === "cancel" })) {
    await perform(button, () => ask(false), ({ answer }) => `${word}: ${answer.count.toLocaleString("en")} tasks.`);
  }
}

// --- keys and theme ----------------------------------------------------------------------------------------------------

const keys = new Map();
let first = "";

// `onKey("r", …)`, or two in a row: `onKey("g t", …)`.
export const onKey = (name, act) => keys.set(name, act);

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  const act = keys.get(first ? `${first} ${event.key}` : event.key);
  first = !first && event.key === "g" ? "g" : "";
  if (act) {
    event.preventDefault();
    act(event);
  }
});

function switchTheme() {
  const isDark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("dtq.theme", document.documentElement.dataset.theme);
  document.dispatchEvent(new Event("themechange"));
}

onKey("g o", () => location.assign(home));
onKey("g t", () => location.assign(tasksUrl));
onKey("/", () => document.querySelector("[type=search]")?.focus() ?? location.assign(`${tasksUrl}#search`));
onKey("?", () => part("keys").showModal());
onKey("t", switchTheme);
part("theme").addEventListener("click", switchTheme);
part("help").addEventListener("click", () => part("keys").showModal());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));

live.connect();
