// The page of a session: plays its steps, keeps the step in the address, and lets it grow while the run goes on.
"use strict";
(() => {
  const { el, Waterfall, renderStep, count } = window.pilotage;
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
  const part = async (path) => {
    const answer = await fetch(`${page.base}${path}`, { headers: { "X-Part": "1" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.text();
  };
  const LOST = "Connection lost, trying again …";
  const tell = (text) => {
    const place_ = $("lost-touch");
    if (place_ && place_.textContent !== text) place_.textContent = text;
  };
  /** What `ask()` gives, or null when nobody answers, which is said. */
  const trying = async (ask) => {
    try {
      const answer = await ask();
      tell("");
      return answer;
    } catch {
      tell("The server did not answer.");
      return null;
    }
  };
  const rowsFrom = async (from) => (isFile ? page.allRows.slice(from, from + page.piece) : get(`/rows.json?from=${from}`));
  const steps = new Map();
  const bySeq = new Map((page.allSteps ?? []).map((step) => [step.seq, step]));
  const stepAt = (seq) => {
    if (isFile) return Promise.resolve(bySeq.get(seq) ?? null);
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

  const setPlaying = (isPlaying) => {
    $("controls").classList.toggle("playing", isPlaying);
    $("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    $("play").title = isPlaying ? "Pause (space)" : "Play (space)";
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
    setPlaying(false);
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
    setPlaying(true);
    tick();
  };
  const moves = { ArrowLeft: () => at - 1, ArrowRight: () => at + 1, Home: () => page.first, End: () => page.last };

  const rowMoves = { ArrowUp: -1, ArrowDown: 1 };

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
    } else if (rowMoves[event.key] && target.closest("#rows")) {
      waterfall.step(rowMoves[event.key]);
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
      go(wanted);
      if (!isSeen($("controls"))) $("timeline").scrollIntoView();
      return;
    }
    unfold(location.hash);
  };
  const unfold = (hash) => {
    const target = /^#cite-\d+$/.test(hash) ? $(hash.slice(1)) : null;
    if (target) target.open = true;
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
    document.addEventListener("click", (event) => {
      const cite = event.target.closest(".cite");
      if (cite) unfold(cite.hash); // the address may name it already
    });
    document.addEventListener("keydown", press);
    addEventListener("hashchange", followAddress);
    if (fromAddress() === null) show(page.live ? page.last : page.first);
    followAddress();
  };

  // --- a session that goes on

  const setFigures = (figures) => {
    for (const [name, text] of Object.entries(figures)) {
      const place_ = document.querySelector(`[data-figure="${name}"]`);
      if (place_ && place_.textContent !== text) place_.textContent = text;
    }
  };

  /** The parts of the page that are written by the server, as they are now. */
  const refresh = async ({ isOver = false } = {}) => {
    const text = await trying(() => part(""));
    if (!text) return;
    const now = new DOMParser().parseFromString(text, "text/html");
    if (isOver) $("steps").replaceChildren(...now.getElementById("steps").childNodes); // for print
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
    source.onopen = () => tell("");
    source.onerror = () => {
      tell(LOST);
      if (source.readyState === EventSource.CLOSED) setTimeout(startLive, 3000); // it does not try by itself
    };
    addEventListener("pagehide", () => source.close());
    source.addEventListener("change", (event) => {
      const change = JSON.parse(event.data);
      const isFollowing = at >= page.last && !timer;
      page.last = change.last;
      waterfall.change(change.rows, change.count, change.total);
      document.querySelector(".axis .name").textContent = `${count(change.count)} span${change.count === 1 ? "" : "s"}`;
      if ($("silence")) $("silence").textContent = change.silence;
      setFigures(change.figures);
      if (isFollowing) show(page.last);
      else place();
      soon();
    });
    source.addEventListener("clock", (event) => {
      const clock = JSON.parse(event.data);
      waterfall.rescale(clock.total);
      setFigures(clock.figures);
      if ($("silence")) $("silence").textContent = clock.silence;
    });
    source.addEventListener("end", (event) => {
      source.close();
      clearTimeout(due);
      due = "over";
      page.live = false;
      $("told").textContent = `The session has ended: ${JSON.parse(event.data).state}.`;
      refresh({ isOver: true });
    });
  };

  startPlayer();
  window.pilotage.startRecord({ page, isFile, get, part, trying });
  startLive();
})();
