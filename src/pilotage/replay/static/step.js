// One step as elements. Every text is set as text, never as HTML: whoever wrote it may have meant to write a page.
"use strict";
(() => {
  const SHOWN = 3000; // characters of a text until somebody wants all of it
  const SVG = "http://www.w3.org/2000/svg";

  const el = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  };
  const svg = (tag, attributes = {}, ...children) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const count = (number) => number.toLocaleString("en-GB");

  /** A text in full, or its beginning with a button for the rest. */
  const text = (item, whole) => {
    const pre = el("pre", { class: item.form, dir: "auto" });
    const note = item.cut ? el("p", { class: "quiet" }, `${count(item.cut)} characters; this file holds the first ${count(whole.length)}`) : null;
    if (whole.length <= SHOWN * 1.2) {
      pre.textContent = whole;
      return note ? [pre, note] : [pre];
    }
    pre.textContent = `${whole.slice(0, SHOWN)}…`;
    const more = el("button", { type: "button", class: "more" }, `Show all ${count(whole.length)} characters`);
    more.addEventListener("click", () => {
      pre.textContent = whole;
      pre.tabIndex = -1;
      pre.focus();
      more.remove();
    });
    return note ? [pre, more, note] : [pre, more];
  };

  const item = (one, texts) => {
    const made = el("div", { class: "item" });
    if (one.head) {
      made.append(el("p", { class: "item-head" }, el("span", { class: "item-name" }, one.head), one.note ? " " : "", one.note ? el("span", { class: "quiet" }, one.note) : ""));
    }
    const whole = one.ref === undefined ? one.text : texts[one.ref];
    if (whole === null) made.append(el("p", { class: "erased" }, "erased"));
    else if (whole) made.append(...text(one, whole));
    else if (!one.head) made.append(el("p", { class: "quiet" }, "empty"));
    return made;
  };

  /** A block: its items at once, or, folded, when it is opened for the first time. */
  const block = (one, texts) => {
    if (one.open) return el("div", { class: "block", role: "group", "aria-label": one.label }, el("p", { class: "block-label" }, one.label), ...one.items.map((each) => item(each, texts)));
    const made = el("details", { class: "block" }, el("summary", {}, one.label));
    made.addEventListener("toggle", () => made.append(...one.items.map((each) => item(each, texts))), { once: true });
    return made;
  };

  const meter = (cap, [share, said]) => {
    const level = share >= 1 ? " over" : share >= 0.8 ? " much" : "";
    return el("div", { title: cap.key }, el("dt", {}, cap.name), " ", el("dd", {}, said),
      svg("svg", { class: "meter", "aria-hidden": "true" }, svg("rect", { width: "100%", height: "100%" }), svg("rect", { class: `full${level}`, width: `${share * 100}%`, height: "100%" })));
  };

  /** All of a step. `caps` name the meters, `texts` are those that the step refers to by number. */
  const render = (step, caps, texts = []) => {
    const meta = [step.label, step.agent, step.task && `task ${step.task}`, `${step.after} into the session`, step.took && `took ${step.took}`, step.spent];
    const facts = el("dl", { class: "facts" }, ...step.facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
    const more = el("details", { class: "block" }, el("summary", {}, `Facts of event ${step.seq}`), facts, el("p", { class: "quiet mono" }, step.hash));
    return [
      el("h3", {}, step.headline || step.label),
      el("p", { class: "meta" }, ...meta.filter(Boolean).map((said) => el("span", {}, said)), step.failed ? el("span", { class: "wrongly" }, step.failed) : ""),
      caps.length && step.meters.length ? el("dl", { class: "meters", "aria-label": "Where the limits stood" }, ...step.meters.map((one, n) => meter(caps[n], one))) : "",
      ...step.blocks.map((one) => block(one, texts)),
      more,
    ].filter((made) => made !== "");
  };

  /** A raw event, folded. */
  const raw = (event) => {
    const made = el("details", {}, el("summary", {}, `${event.seq} ${event.kind} `, el("span", { class: "quiet mono" }, event.hash.slice(0, 16))));
    made.addEventListener("toggle", () => made.append(el("pre", { class: "code" }, JSON.stringify(event, null, 2))), { once: true });
    return made;
  };

  Object.assign((window.pilotage ??= {}), { el, svg, count, renderStep: render, renderRaw: raw });
})();
