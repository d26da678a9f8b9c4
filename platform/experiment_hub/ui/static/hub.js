// Keyboard, theme, selection and live notices; every page works without any of it.
"use strict";

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const typing = (element) => element.matches("input:not([type=checkbox]):not([type=range]), textarea, select");

  // Theme: remembered in a cookie, so that the server draws the page in it from the start.
  const isDark = () =>
    (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  $$("[data-theme-switch]").forEach((button) =>
    button.addEventListener("click", () => {
      const theme = isDark() ? "light" : "dark";
      document.documentElement.dataset.theme = theme;
      document.cookie = `hub_theme=${theme}; path=/; max-age=31536000; samesite=lax`;
      document.dispatchEvent(new CustomEvent("hub:theme"));
    }),
  );

  const help = $("#help");
  $$("[data-help]").forEach((button) => button.addEventListener("click", () => help.showModal()));

  // Rows: j and k move, Enter opens, x selects, c compares.
  const rows = () => $$("tbody tr[data-href]");
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.classList.contains("current"));
    const next = all[Math.min(all.length - 1, Math.max(0, now + by))];
    all.forEach((row) => row.classList.toggle("current", row === next));
    next.querySelector("a").focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  const keys = {
    "/": () => $("[data-filter]")?.focus(),
    "?": () => help.showModal(),
    j: () => move(1),
    k: () => move(-1),
    x: () => $("tr.current input[type=checkbox]")?.click(),
    c: () => $("#compare:not(.hidden) button")?.click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (typing(event.target)) event.target.blur();
      $$("details.menu[open]").forEach((menu) => (menu.open = false));
      return;
    }
    if (typing(event.target) || help.open || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.addEventListener("click", (event) => {
    $$("details.menu[open]").forEach((menu) => menu.contains(event.target) || (menu.open = false));
  });

  // Selection: a bar that counts.
  const count = () => {
    const bar = $("#compare");
    if (!bar) return;
    const chosen = $$("input[name=run]:checked").length;
    bar.classList.toggle("hidden", chosen === 0);
    $("[data-count]", bar).textContent = chosen === 1 ? "1 run selected" : `${chosen} runs selected`;
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) $$("input[name=run]").forEach((box) => (box.checked = event.target.checked));
    count();
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.matches("[data-none]")) return;
    $$("input[name=run], [data-all]").forEach((box) => (box.checked = false));
    count();
  });
  document.addEventListener("htmx:afterSettle", count);
  window.addEventListener("pageshow", count);

  // Questions before what cannot be taken back.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.ask;
    if (question && !confirm(question)) event.preventDefault();
  });

  // What went wrong with a part of the page is said, not swallowed.
  const say = (text) => {
    const place = $("#said");
    place.textContent = text;
    place.classList.remove("hidden");
    setTimeout(() => place.classList.add("hidden"), 8000);
  };
  document.addEventListener("htmx:responseError", (event) => {
    let detail = `The server answered ${event.detail.xhr.status}.`;
    try {
      detail = JSON.parse(event.detail.xhr.responseText).detail || detail;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    say(detail);
  });
  document.addEventListener("htmx:sendError", () => say("The server cannot be reached."));

  // Live: the server tells what changed, the page decides what that means to it.
  const follower = $("[data-follow]");
  if (follower) {
    const events = new EventSource(`/api/v1/events?${new URLSearchParams({ after: document.body.dataset.event })}`);
    const tell = (kind) => (event) =>
      document.dispatchEvent(new CustomEvent("hub:event", { detail: { kind, data: JSON.parse(event.data || "{}") } }));
    ["run", "progress", "job", "model", "reset"].forEach((kind) => events.addEventListener(kind, tell(kind)));
    window.addEventListener("pagehide", () => events.close());
    const wanted = follower.dataset.follow.split(" ");
    document.addEventListener("hub:event", ({ detail }) => {
      const about = follower.dataset.about;
      if (!wanted.includes(detail.kind) && detail.kind !== "reset") return;
      if (about && detail.kind !== "reset" && !Object.values(detail.data).includes(about)) return;
      follower.classList.remove("hidden");
    });
  }

  // Logs: what came since, again and again while the run is at work.
  const log = $("[data-log]");
  if (log) {
    const place = { piece: log.dataset.piece, offset: log.dataset.offset };
    const read = async () => {
      const answer = await fetch(`${log.dataset.log}?${new URLSearchParams(place)}`);
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const part = await answer.json();
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 40;
      Object.assign(place, { piece: part.piece, offset: part.offset });
      if (part.text) log.append(part.text);
      while (log.childNodes.length > 200) log.firstChild.remove();
      if (atEnd) log.scrollTop = log.scrollHeight;
    };
    log.scrollTop = log.scrollHeight;
    const follow = () => {
      if (document.hidden) return setTimeout(follow, 1500);
      return read().catch((error) => say(`The log cannot be read: ${error.message}`)).finally(() => setTimeout(follow, 1500));
    };
    if (log.dataset.live === "yes") follow();
  }
})();
