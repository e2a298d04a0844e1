// One chart over time, drawn by uPlot, in the colours of the page. Its size never changes with what it shows.

import { el, list, say } from "./dom.js";

const HEIGHT = 190;
const FEW_TICKS = 80;

// The colour that a variable of the style sheet stands for at present.
function colour(name) {
  const probe = document.body.appendChild(el("i"));
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const withAlpha = (rgb, alpha) => rgb.replace(/^rgb\((.*)\)$/, (_, parts) => `rgba(${parts}, ${alpha})`);

const HOURS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const DAYS = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const BOTH = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });
const EXACT = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hour12: false });

export class TimeChart {
  #plot = null;
  #lines = [];
  #data = [[]];
  #from = 0;
  #to = 1;

  // `figure` has a caption and a place for the plot; `value` turns a number into text.
  constructor(figure, value) {
    this.figure = figure;
    this.value = value;
    this.place = figure.querySelector(".plot");
    this.legend = el("ul.legend");
    this.nothing = el("p.nothing", { hidden: true }, "Nothing in this time");
    figure.querySelector("figcaption").append(this.legend);
    this.place.append(this.nothing);
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.place);
    document.addEventListener("themechange", () => this.#draw());
  }

  // Shows `lines` ({ label, colour, values }, `filled` if it is an area) over `at` (seconds), from one moment to another.
  show(at, lines, from, to) {
    const same = lines.length === this.#lines.length && lines.every((line, index) => line.label === this.#lines[index].label);
    this.#lines = lines;
    this.#data = [at, ...lines.map((line) => line.values)];
    [this.#from, this.#to] = [from, to];
    this.nothing.hidden = lines.some((line) => line.values.some((value) => value !== null && value !== undefined));
    if (this.#plot && same) this.#plot.setData(this.#data);
    else this.#draw();
    this.#tell(null);
  }

  #size() {
    return { width: Math.max(this.place.clientWidth, 120), height: HEIGHT };
  }

  #draw() {
    if (!this.#lines.length) return;
    this.#plot?.destroy();
    const grid = { stroke: colour("--line"), width: 1 };
    const axis = { stroke: colour("--quiet"), font: `11px ${getComputedStyle(document.body).fontFamily}`, grid, ticks: { show: false } };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        legend: { show: false },
        cursor: { sync: { key: "dtq" }, y: false, points: { size: 6 }, drag: { x: false, y: false } },
        scales: { x: { range: () => [this.#from, this.#to] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.15 : 1] } },
        axes: [
          { ...axis, space: FEW_TICKS, size: 28, values: (_, ticks) => ticks.map((tick) => this.#tick(tick)) },
          { ...axis, size: 62, space: 38, values: (_, ticks) => ticks.map((tick) => this.value(tick)) },
        ],
        series: [{}, ...this.#lines.map((line) => this.#series(line))],
        hooks: { setCursor: [(plot) => this.#tell(plot.cursor.idx)] },
      },
      this.#data,
      this.place,
    );
  }

  #series(line) {
    const stroke = colour(line.colour);
    return { stroke, width: 1.75, points: { show: false }, fill: line.filled ? withAlpha(stroke, 0.13) : undefined };
  }

  #tick(seconds) {
    const span = this.#to - this.#from;
    return (span > 2 * 86_400 ? DAYS : HOURS).format(seconds * 1000);
  }

  // The legend: at the cursor, or of late.
  #tell(index) {
    const at = index ?? this.#data[0].findLastIndex((_, each) => this.#lines.some((line) => line.values[each] != null));
    const span = this.#to - this.#from;
    const when = index === null || index === undefined ? "" : (span > 86_400 ? BOTH : EXACT).format(this.#data[0][index] * 1000);
    const entries = when ? [...this.#lines, { label: when }] : this.#lines;
    list(this.legend, entries, (line) => (line.values ? line.label : "when"), (line) => this.#entry(line), (node, line) => {
      say(node.children[1], line.label);
      const value = line.values?.[at];
      say(node.children[2], !line.values ? "" : value === null || value === undefined ? "–" : this.value(value));
    });
  }

  #entry(line) {
    const mark = el("i.mark");
    if (line.colour) mark.style.background = `var(${line.colour})`;
    return el("li", { className: line.values ? "" : "when" }, mark, el("span"), el("b"));
  }
}
