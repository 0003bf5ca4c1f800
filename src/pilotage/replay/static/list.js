// The list of sessions: keys, rows as links, filters that apply at once, and rows that stay fresh.
"use strict";
(() => {
  const rows = document.getElementById("rows");
  const search = document.getElementById("q");
  const form = document.getElementById("filters");
  let at = null; // the run of the marked row: rows come and go, the mark stays on its run

  const all = () => [...rows.querySelectorAll("tr[data-run]")];
  const mark = (row, scroll = true) => {
    for (const other of rows.querySelectorAll("tr.at")) other.classList.remove("at");
    if (!row) return;
    at = row.dataset.run;
    row.classList.add("at");
    if (scroll) {
      row.querySelector("a").focus({ preventScroll: true });
      row.scrollIntoView({ block: "nearest" });
    }
  };
  const move = (by) => {
    const list = all();
    const here = list.findIndex((row) => row.dataset.run === at);
    const next = here < 0 ? (by > 0 ? 0 : list.length - 1) : here + by;
    mark(list[Math.max(0, Math.min(list.length - 1, next))]);
  };
  const open = (run) => location.assign(`/sessions/${encodeURIComponent(run)}`);

  // who comes back from a session finds the mark where it was
  const KEY = "pilotage.at";
  addEventListener("pagehide", () => {
    try {
      if (at) sessionStorage.setItem(KEY, at);
    } catch {
      // storage is switched off
    }
  });
  const back = () => {
    try {
      const was = sessionStorage.getItem(KEY);
      sessionStorage.removeItem(KEY);
      if (was) mark(all().find((row) => row.dataset.run === was));
    } catch {
      // storage is switched off
    }
  };

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const field = event.target.closest("input, select, textarea");
    if (field) {
      if (event.key === "Escape") field.blur();
      return;
    }
    if (event.key === "/" && search) {
      search.focus();
      search.select();
    } else if (event.key === "j" || event.key === "ArrowDown") move(1);
    else if (event.key === "k" || event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter" && at && !event.target.closest("a, button, summary")) open(at);
    else return;
    event.preventDefault();
  });

  rows.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-run]");
    if (row && !event.target.closest("a, label") && !String(getSelection())) open(row.dataset.run);
  });
  rows.addEventListener("focusin", (event) => mark(event.target.closest("tr[data-run]"), false));

  if (form) {
    form.addEventListener("change", (event) => {
      if (event.target.matches("select, input[type=date]")) form.requestSubmit();
    });
    form.addEventListener("submit", () => {
      // empty parameters do not belong into the address
      for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
      setTimeout(() => {
        for (const field of form.elements) field.disabled = false; // for a page that is shown again by going back
      });
    });
  }

  const span = (seconds) => {
    const minutes = Math.floor(seconds / 60);
    const two = (value) => String(value).padStart(2, "0");
    if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
    return minutes ? `${minutes} min ${two(Math.floor(seconds % 60))} s` : `${Math.floor(seconds)} s`;
  };
  const tick = () => {
    const now = Date.now() / 1000;
    for (const one of rows.querySelectorAll("[data-heard]")) {
      const silent = now - Number(one.dataset.heard);
      one.textContent = silent > Number(one.dataset.quiet) ? `nothing heard for ${span(silent)}` : "";
    }
    for (const figure of rows.querySelectorAll("[data-since]")) {
      figure.textContent = span(Math.max(0, now - Number(figure.dataset.since)));
    }
  };
  tick();
  setInterval(tick, 1000);

  const draw = ({ rows: html, total }) => {
    if ("new" in rows.dataset) {
      if (total) location.reload(); // the first session of all
      return;
    }
    const had = rows.contains(document.activeElement);
    const ticked = new Set([...rows.querySelectorAll("input:checked")].map((box) => box.value));
    rows.innerHTML = html; // drawn and escaped by the server, as the page itself was
    for (const box of rows.querySelectorAll(".tick input")) box.checked = ticked.has(box.value);
    window.pilotage.localise(rows);
    tick();
    const number = document.getElementById("total");
    const text = total.toLocaleString("en-US") + (/found/.test(number.textContent) ? " found" : "");
    if (number.textContent !== text) number.textContent = text;
    const kept = all().find((row) => row.dataset.run === at);
    if (kept) {
      kept.classList.add("at");
      if (had) kept.querySelector("a").focus({ preventScroll: true });
    }
  };
  let stream = null;
  let { seen } = rows.dataset; // the state of the store that these rows show
  const follow = () => {
    if (stream || document.hidden) return;
    const address = new URL(rows.dataset.stream, location);
    address.searchParams.set("seen", seen);
    stream = new EventSource(address);
    const told = document.getElementById("lost-touch");
    stream.onopen = () => told && (told.textContent = "");
    stream.onerror = () => {
      if (told) told.textContent = "Connection lost, trying again …";
      if (stream?.readyState !== EventSource.CLOSED) return; // it tries by itself
      stream = null;
      setTimeout(follow, 3000);
    };
    stream.onmessage = (event) => {
      seen = event.lastEventId;
      draw(JSON.parse(event.data));
    };
  };
  const leave = () => {
    if (stream) stream.close();
    stream = null;
  };
  // a page that nobody sees holds no connection: a browser has only six for one host
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", follow);
  back();
})();
