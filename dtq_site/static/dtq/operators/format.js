// Numbers, lengths of time and moments, for people.

const UNITS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

// A length of time in its two largest units: `3 min 20 s`, `45 ms`.
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 0.001) return "0 ms";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const index = UNITS.findIndex(([size]) => whole >= size);
  const [size, unit] = UNITS[index];
  const rest = UNITS[index + 1] ? Math.floor((whole % size) / UNITS[index + 1][0]) : 0;
  return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${UNITS[index + 1][1]}` : ""}`;
}

// How old something is, to the second.
export function age(seconds) {
  if (seconds < 1) return "< 1 s";
  return seconds < 10 ? `${Math.floor(seconds)} s` : duration(Math.floor(seconds));
}

// The present by the server's clock, as far as it has told it: that of this machine may be wrong.
let ahead = 0;
export const keepTime = (serverMoment) => {
  ahead = new Date(serverMoment) - Date.now();
};
export const present = () => Date.now() + ahead;

export const since = (moment, now = present()) => Math.max((now - new Date(moment)) / 1000, 0);

// How long ago, or in how long: `12 s ago`, `in 3 min`.
export function relative(moment, now = present()) {
  if (!moment) return "–";
  const seconds = (new Date(moment) - now) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  const whole = seconds > 0 ? Math.floor(seconds) : Math.ceil(seconds);
  return seconds > 0 ? `in ${coarse(whole)}` : `${coarse(-whole)} ago`;
}

// A length of time in its largest unit alone.
export function coarse(seconds) {
  const [size, unit] = UNITS.find(([each]) => seconds >= each) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export const moment = (text) => (text ? DATE.format(new Date(text)) : "–");
export const clock = (date) => TIME.format(date);

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (number) => WHOLE.format(number);
export const short = (number) => (number < 10_000 ? WHOLE.format(number) : SHORT.format(number));
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

// Tasks a second, as precise as it is large.
export function rate(perSecond) {
  if (!perSecond) return "0";
  if (perSecond < 0.1) return perSecond.toFixed(perSecond < 0.01 ? 3 : 2);
  return perSecond < 10 ? perSecond.toFixed(1) : short(Math.round(perSecond));
}

export function percent(share) {
  if (share === 0) return "0 %";
  if (share < 0.001) return "< 0.1 %";
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

export const STATES = {
  PENDING: "Pending",
  QUEUED: "Queued",
  PROCESSING: "Running",
  COMPLETED: "Completed",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
  DEAD_LETTER: "Dead letter",
};
