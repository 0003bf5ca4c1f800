// The page of a session: plays its steps, keeps the step in the address, and lets it grow while the run goes on.
"use strict";
(() => {
  const { el, Waterfall, renderStep, renderRaw, renderRow, count } = window.pilotage;
  const $ = (id) => document.getElementById(id);
  const page = JSON.parse($("session-data").textContent);
  const isFile = page.allSteps !== undefined;
  const KEPT = 60; // steps that are not fetched again
  const FRESH = 2000; // milliseconds between two looks at the rest of a growing page

  // --- where things come from: the server, or this file

  const get = async (path) => {
    const answer = await fetch(`${page.base}${path}`);
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.json();
  };
  const rowsFrom = async (from) => (isFile ? page.allRows.slice(from, from + page.piece) : get(`/rows.json?from=${from}`));
  const steps = new Map();
  const stepAt = (seq) => {
    if (isFile) return Promise.resolve(page.allSteps[seq - page.first] ?? null);
    if (!steps.has(seq)) {
      steps.set(seq, get(`/steps/${seq}.json`).catch(() => null));
      if (steps.size > KEPT) steps.delete(steps.keys().next().value);
    }
    return steps.get(seq);
  };

  // --- the player

  const stage = $("stage");
  const slider = $("slider");
  const waterfall = new Waterfall($("rows"), { count: page.rows, size: page.piece, total: page.total, fetchRows: rowsFrom });
  waterfall.onReset = () => {
    steps.clear();
    if (at) show(at);
  };
  let at = 0;
  let timer = null;
  let turn = 0;

  const place = () => {
    slider.max = page.last;
    slider.value = at;
    slider.setAttribute("aria-valuetext", `Step ${at} of ${page.last}`);
    $("place").textContent = `${count(at)} / ${count(page.last)}`;
    $("to-first").disabled = $("to-previous").disabled = at <= page.first;
    $("to-next").disabled = $("to-last").disabled = at >= page.last;
  };

  /** Show a step; `scroll` brings its row into view. */
  const show = async (seq, { scroll = true } = {}) => {
    const mine = ++turn;
    at = Math.min(Math.max(seq, page.first), page.last);
    place();
    const step = await stepAt(at);
    if (mine !== turn) return;
    stage.replaceChildren(...(step ? renderStep(step, page.caps, page.texts) : [el("p", { class: "quiet" }, `Step ${at} is not there.`)]));
    stage.scrollTop = 0;
    stage.dataset.seq = at;
    stage.setAttribute("aria-label", `Step ${at}`);
    if (step) waterfall.mark(step.row, { scroll });
    if (step && !timer) $("told").textContent = `Step ${at}: ${step.headline || step.label}`;
    if (at < page.last) stepAt(at + 1);
  };

  /** Go to a step that somebody has chosen: the address keeps it. */
  const go = (seq, options) => {
    const wanted = Math.min(Math.max(seq, page.first), page.last);
    history.replaceState(null, "", `#${wanted}`);
    return show(wanted, options);
  };

  // real time by the speed, long waits shortened: a second stays a second, a minute becomes three
  const pause = (seconds, speed) => Math.max(120, 1000 * Math.min(3, seconds <= 1 ? seconds : 1 + Math.log10(seconds))) / speed;
  const stop = () => {
    clearTimeout(timer);
    timer = null;
    $("controls").classList.remove("playing");
    $("play").setAttribute("aria-label", "Play");
  };
  const tick = async () => {
    if (at >= page.last) return stop();
    const [now, next] = await Promise.all([stepAt(at), stepAt(at + 1)]);
    if (!timer) return;
    const gap = now && next ? Math.max(0, next.offset - now.offset) : 0;
    timer = setTimeout(async () => {
      await go(at + 1);
      if (timer) tick();
    }, pause(gap, Number($("speed").value)));
  };
  const toggle = () => {
    if (timer) return stop();
    if (at >= page.last) go(page.first);
    timer = setTimeout(() => {}, 0);
    $("controls").classList.add("playing");
    $("play").setAttribute("aria-label", "Pause");
    tick();
  };
  const moves = { ArrowLeft: () => at - 1, ArrowRight: () => at + 1, Home: () => page.first, End: () => page.last };

  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target;
    const isHere = target === document.body || target.closest?.("#timeline, main") === target || target.closest?.("#timeline");
    if (!isHere || target.matches("input:not([type=range]), select, textarea")) return;
    if (event.key === " ") {
      if (target.matches("button, summary")) return;
      toggle();
    } else if (moves[event.key]) {
      stop();
      go(moves[event.key]());
    } else {
      return;
    }
    event.preventDefault();
  };

  const fromAddress = () => {
    const told = /^#(\d+)$/.exec(location.hash);
    return told ? Number(told[1]) : null;
  };
  const followAddress = () => {
    const wanted = fromAddress();
    if (wanted !== null) {
      stop();
      show(wanted);
      if (!isSeen($("controls"))) $("timeline").scrollIntoView();
      return;
    }
    const target = location.hash.length > 1 ? $(decodeURIComponent(location.hash.slice(1))) : null;
    if (target?.tagName === "DETAILS") target.open = true;
  };
  const isSeen = (element) => {
    const box = element.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };

  const startPlayer = () => {
    $("session").classList.add("played");
    for (const id of ["controls", "player", "keys"]) $(id).hidden = false;
    $("to-first").addEventListener("click", () => go(page.first));
    $("to-previous").addEventListener("click", () => go(at - 1));
    $("to-next").addEventListener("click", () => go(at + 1));
    $("to-last").addEventListener("click", () => go(page.last));
    $("play").addEventListener("click", toggle);
    slider.addEventListener("input", () => {
      stop();
      go(Number(slider.value));
    });
    $("rows").addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (!row || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      stop();
      go(Number(row.dataset.step), { scroll: false });
    });
    document.addEventListener("keydown", press);
    addEventListener("hashchange", followAddress);
    show(fromAddress() ?? (page.live ? page.last : page.first));
    followAddress();
  };

  // --- the record

  const startRecord = () => {
    let after = 0;
    const more = async () => {
      const events = isFile ? rawOfFile(after) : await get(`/events.json?after=${after}`);
      $("raw-list").append(...events.map(renderRaw));
      after = events.length ? events.at(-1).seq : after;
      $("raw-more").hidden = !events.length || after >= page.last;
    };
    const rawOfFile = (from) => page.allSteps.filter((s) => s.seq > from).slice(0, 50)
      .map(({ seq, kind, at: when, facts, hash }) => ({ seq, kind, at: when, facts: Object.fromEntries(facts), hash }));
    $("raw").hidden = false;
    $("raw").addEventListener("toggle", more, { once: true });
    $("raw-more").addEventListener("click", more);
    document.addEventListener("click", async (event) => {
      if (event.target.id !== "verify") return;
      event.preventDefault();
      $("proof").textContent = "Verifying …";
      const answer = await fetch(`${page.base}/verify`, { headers: { "X-Part": "1" } });
      $("proof").innerHTML = await answer.text(); // a template of ours, everything in it escaped
    });
  };

  const startThought = () => {
    const late = $("late-thought");
    if (!late || isFile) return;
    const seen = new IntersectionObserver(async ([one]) => {
      if (!one.isIntersecting) return;
      seen.disconnect();
      const answer = await fetch(`${page.base}/thought`, { headers: { "X-Part": "1" } });
      if (answer.ok) late.outerHTML = await answer.text(); // a template of ours, everything in it escaped
    });
    seen.observe(late);
  };

  // --- a session that goes on

  const setFigures = (figures) => {
    for (const [name, text] of Object.entries(figures)) {
      const place_ = document.querySelector(`[data-figure="${name}"]`);
      if (place_ && place_.textContent !== text) place_.textContent = text;
    }
  };

  /** The parts of the page that are written by the server, as they are now. */
  const refresh = async () => {
    const answer = await fetch(page.base);
    if (!answer.ok) return;
    const now = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-fresh]")) {
      const fresh = now.getElementById(part.id);
      const isRead = part.contains(document.activeElement) || (!getSelection().isCollapsed && part.contains(getSelection().anchorNode));
      if (fresh && !isRead && !fresh.querySelector("#late-thought") && part.innerHTML !== fresh.innerHTML) {
        const open = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
        part.replaceChildren(...fresh.childNodes);
        for (const id of open) if ($(id)) $(id).open = true;
      }
    }
    window.pilotage.localise?.(document);
    document.querySelector("#axis").replaceChildren(...now.querySelector("#axis").childNodes);
  };

  const startLive = () => {
    if (!page.live || isFile) return;
    let due = null;
    const soon = () => {
      due ??= setTimeout(() => {
        due = null;
        refresh();
      }, FRESH);
    };
    const source = new EventSource(`${page.base}/live?after=${page.last}`);
    addEventListener("pagehide", () => source.close());
    source.addEventListener("change", (event) => {
      const change = JSON.parse(event.data);
      const isFollowing = at >= page.last && !timer;
      page.last = change.last;
      waterfall.change(change.rows, change.count, change.total);
      document.querySelector(".axis .name").textContent = `${count(change.count)} spans`;
      setFigures(change.figures);
      if (isFollowing) show(page.last);
      else place();
      soon();
    });
    source.addEventListener("clock", (event) => {
      const clock = JSON.parse(event.data);
      waterfall.rescale(clock.total);
      setFigures(clock.figures);
    });
    source.addEventListener("end", (event) => {
      source.close();
      clearTimeout(due);
      due = "over";
      page.live = false;
      $("told").textContent = `The session has ended: ${JSON.parse(event.data).state}.`;
      refresh();
    });
  };

  // --- print: everything unfolded

  const paper = matchMedia("print");
  paper.addEventListener("change", () => {
    for (const one of document.querySelectorAll("#session details:not(.raw *)")) {
      if (paper.matches && !one.open) one.dataset.shut = "yes";
      if (paper.matches) one.open = true;
      else if (one.dataset.shut) {
        one.open = false;
        delete one.dataset.shut;
      }
    }
  });

  window.pilotage.renderRow = renderRow;
  startPlayer();
  startRecord();
  startThought();
  startLive();
})();
