// Building and updating the page. Text is only ever set as text, so nothing that a task says can become markup.

// An element: `el("a.quiet", { href, onclick, hidden, data: { id } }, child, "text", …)`.
export function el(kind, properties = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(node.dataset, value);
    else if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const part = (name, root = document) => root.querySelector(`[data-part="${name}"]`);

// Sets a text only if it is another one, so that nothing is painted or read out for nothing.
export function say(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

// Shows `items` as the children of `parent`, in order. A child is made once for each key and updated from then on, so focus,
// selection and place survive. `make(item)` returns the node; `update(node, item)` fills it.
export function list(parent, items, key, make, update) {
  const wanted = items.map((item) => [String(key(item)), item]);
  const names = new Set(wanted.map(([name]) => name));
  for (const node of [...parent.children]) if (!names.has(node.dataset.key)) node.remove();
  const known = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const [name, item] of wanted) {
    const node = known.get(name) ?? make(item);
    node.dataset.key = name;
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
}

// A table's body whose rows are lists of cells. `row(item)` returns the cells: text, nodes, or `{ text, kind, title }`.
// A cell that says the same as before is left alone.
export function table(body, items, key, row, empty) {
  body.closest("table").classList.toggle("is-empty", items.length === 0);
  const columns = body.closest("table").tHead.rows[0].cells;
  const shown = items.length ? items : [null];
  list(body, shown, (item) => (item === null ? "" : key(item)), () => el("tr"), (node, item) => {
    const cells = item === null ? [{ node: empty, said: "empty" }] : row(item);
    cells.forEach((cell, index) => setCell(node, index, cell, columns[index], item === null ? columns.length : 1));
  });
}

function setCell(row, index, content, column, span) {
  const cell = row.cells[index] ?? row.insertCell();
  const { node = null, said = null, text = null } = typeof content === "object" && content !== null ? content : { text: content };
  const now = node ? String(said) : String(text);
  if (cell.dataset.said === now) return;
  cell.dataset.said = now;
  cell.className = column.className;
  cell.dataset.label = column.textContent;
  cell.colSpan = span;
  cell.replaceChildren(node ?? String(text));
}

// A cell made of nodes; `said` is all that it depends on.
export const cell = (node, ...said) => ({ node, said: JSON.stringify(said) });
