// The page's one connection to the API: graphql-transport-ws, over which queries and mutations go too.
//
// The access token is kept in memory only. It is exchanged for the next one before it runs out: a second socket is opened, and
// when it is acknowledged everything moves over to it. When a socket is lost, its subscriptions begin anew on the next one; one
// that leaves a question unanswered counts as lost.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const ANSWER_MS = 20_000;
const SILENCE = "The server takes too long to answer.";

export class Refusal extends Error {
  constructor(error) {
    super(error.message);
    this.code = error.extensions?.code ?? "INTERNAL";
  }
}

export class Lost extends Error {}

export class Live extends EventTarget {
  #settings;
  #socket = null;
  #operations = new Map();
  #next = 1;
  #pause = FIRST_PAUSE_MS;
  #timer = null;
  #attempts = 0;

  // `settings`: the addresses `endpoint` and `token`, and a `csrf` token.
  constructor(settings) {
    super();
    this.#settings = settings;
    this.state = { kind: "connecting", since: new Date(), why: "" };
  }

  // Connects, again and again until it works; may be called at any time to try at once.
  async connect() {
    clearTimeout(this.#timer);
    const attempt = ++this.#attempts;
    try {
      const token = await this.#token();
      await this.#open(token.accessToken);
      this.#pause = FIRST_PAUSE_MS;
      this.#timer = setTimeout(() => this.connect(), token.expiresIn * 800);
      this.#become("live");
    } catch (error) {
      if (attempt === this.#attempts) this.#retry(error.message); // a later one knows better
    }
  }

  // The answer to a query or a mutation; rejects with Refusal, or with Lost when nobody can tell what became of it.
  ask(query, variables = {}) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(id, operation), ANSWER_MS);
      const settle = (act) => (value) => {
        clearTimeout(timer);
        act(value);
      };
      const operation = { query, variables, once: true, next: settle(resolve), error: settle(reject) };
      const id = this.#add(operation);
    });
  }

  // Calls `onNext` with the data of each event until the function that it returns is called.
  follow(query, variables, onNext, onError = () => {}) {
    const id = this.#add({ query, variables, once: false, next: onNext, error: onError });
    return () => {
      this.#operations.delete(id);
      this.#send({ id, type: "complete" });
    };
  }

  // --- one operation ---------------------------------------------------------------------------------------------------

  #add(operation) {
    const id = String(this.#next++);
    this.#operations.set(id, operation);
    this.#begin(id, operation);
    return id;
  }

  #begin(id, operation) {
    const { query, variables } = operation;
    operation.socket = this.#socket;
    this.#send({ id, type: "subscribe", payload: { query, variables } });
  }

  #finish(id, act, value) {
    this.#operations.delete(id);
    act(value);
  }

  // Its socket may lead nowhere, which no event tells.
  #giveUp(id, operation) {
    this.#finish(id, operation.error, new Lost(SILENCE));
    if (!operation.socket) return;
    operation.socket.close();
    this.#drop(operation.socket, SILENCE);
  }

  #take({ id, type, payload }) {
    const operation = this.#operations.get(id);
    if (!operation) return;
    if (type === "next" && payload.errors?.length) {
      this.#finish(id, operation.error, new Refusal(payload.errors[0]));
    } else if (type === "next") {
      if (operation.once) this.#operations.delete(id);
      operation.next(payload.data);
    } else if (type === "error") {
      this.#finish(id, operation.error, new Refusal(payload[0]));
    } else if (type === "complete") {
      this.#operations.delete(id);
    }
  }

  // --- the socket ------------------------------------------------------------------------------------------------------

  async #token() {
    const { token, csrf } = this.#settings;
    const request = { method: "POST", headers: { "X-CSRFToken": csrf }, signal: AbortSignal.timeout(ANSWER_MS) };
    const response = await fetch(token, request).catch(() => {
      throw new Lost("The server cannot be reached.");
    });
    if (response.status === 401) {
      location.reload(); // the session has ended: the same address now shows the way in
      return new Promise(() => {});
    }
    if (response.status === 403) throw new Lost("The server refuses this page; reload it.");
    if (!response.ok) throw new Lost(`The server answers with status ${response.status}.`);
    return response.json();
  }

  #open(accessToken) {
    const url = new URL(this.#settings.endpoint, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, "graphql-transport-ws");
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Lost(SILENCE));
        socket.close();
      }, ANSWER_MS);
      socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init", payload: { token: accessToken } }));
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "connection_ack") {
          clearTimeout(timer);
          resolve(this.#adopt(socket));
        } else if (message.type === "ping") socket.send('{"type":"pong"}');
        else this.#take(message);
      };
      socket.onclose = ({ code, reason }) => {
        clearTimeout(timer);
        const why = reason || (code === 1006 ? "The connection was cut." : `The server closed the connection (${code}).`);
        reject(new Lost(why));
        this.#drop(socket, why);
      };
    });
  }

  // From now on everything goes over this socket. Questions that the former one was asked, it still answers.
  #adopt(socket) {
    const former = this.#socket;
    this.#socket = socket;
    for (const [id, operation] of this.#operations) {
      if (operation.once && operation.socket) continue;
      if (operation.socket) this.#send({ id, type: "complete" }, operation.socket);
      this.#begin(id, operation);
    }
    if (former) setTimeout(() => former.close(1000), ANSWER_MS);
  }

  #drop(socket, why) {
    for (const [id, operation] of this.#operations) {
      if (operation.socket !== socket) continue;
      operation.socket = null;
      if (operation.once) this.#finish(id, operation.error, new Lost(why));
    }
    if (socket === this.#socket) {
      this.#socket = null;
      this.#retry(why);
    }
  }

  #send(message, socket = this.#socket) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  #retry(why) {
    this.#become("lost", why);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.connect(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  #become(kind, why = "") {
    const since = kind === this.state.kind ? this.state.since : new Date();
    this.state = { kind, since, why };
    this.dispatchEvent(new Event("state"));
  }
}
