// The GraphQL console: signs in, keeps the session for this tab, and hands GraphiQL a fetcher that sends the token.
"use strict";

(() => {
  const KEY = "dtq.console.session";
  const page = document.getElementById("console");
  const { endpoint, login, logout } = page.dataset;
  const part = (name) => page.querySelector(`[data-part="${name}"]`);

  // --- the session ---------------------------------------------------------------------------------------------------

  let session = JSON.parse(sessionStorage.getItem(KEY) || "null");

  function keep(next, notice = "") {
    session = next;
    if (session) {
      sessionStorage.setItem(KEY, JSON.stringify(session));
      part("who").textContent = `${session.user.username} (${session.user.role})`;
    } else {
      sessionStorage.removeItem(KEY);
    }
    part("signed-out").hidden = Boolean(session);
    part("signed-in").hidden = !session;
    part("notice").textContent = notice;
  }

  const post = (url, body, headers = {}) =>
    fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });

  const bearer = () => (session ? { Authorization: `Bearer ${session.access_token}` } : {});

  async function signIn(form) {
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const response = await post(login, { username: form.elements.username.value, password: form.elements.password.value });
      if (response.ok) {
        keep(await response.json());
        form.reset();
      } else if (response.status === 401) {
        keep(null, "The user name or the password is wrong.");
      } else if (response.status === 429) {
        keep(null, "Too many failed logins: wait a minute.");
      } else {
        keep(null, `Signing in failed with status ${response.status}.`);
      }
    } catch {
      keep(null, "The server cannot be reached.");
    } finally {
      button.disabled = false;
    }
  }

  async function signOut() {
    const ended = session;
    keep(null);
    await post(logout, { refresh_token: ended.refresh_token }, { Authorization: `Bearer ${ended.access_token}` });
  }

  part("signed-out").addEventListener("submit", (event) => {
    event.preventDefault();
    signIn(event.target);
  });
  part("signed-in").addEventListener("submit", (event) => {
    event.preventDefault();
    signOut().catch(() => keep(null, "The server cannot be reached; the session ends by itself."));
  });
  keep(session);

  // --- GraphiQL ------------------------------------------------------------------------------------------------------

  const socket = new URL(endpoint, location.href);
  socket.protocol = socket.protocol === "https:" ? "wss:" : "ws:";

  const send = GraphiQL.createFetcher({
    url: endpoint,
    subscriptionUrl: socket.href,
    fetch: async (url, request) => {
      const response = await fetch(url, request);
      if (response.status === 401 && session) {
        keep(null, "Your session has ended; sign in again.");
      }
      return response;
    },
  });

  // What stands in the headers editor wins over the session of the bar.
  const fetcher = (operation, options) => {
    const written = options?.headers ?? {};
    const isOwn = Object.keys(written).some((name) => name.toLowerCase() === "authorization");
    return send(operation, { ...options, headers: { ...(isOwn ? {} : bearer()), ...written } });
  };

  const tabs = [...page.querySelectorAll("script[data-query]")].map((example) => ({
    query: example.textContent.trim() + "\n",
    variables: example.dataset.variables || undefined,
  }));

  ReactDOM.createRoot(part("editor")).render(
    React.createElement(GraphiQL, {
      fetcher,
      defaultTabs: tabs,
      defaultEditorToolsVisibility: "variables",
      isHeadersEditorEnabled: true,
      shouldPersistHeaders: false,
      showPersistHeadersSettings: false,
    }),
  );
})();
