// The waterfall: pieces of rows that are fetched when they come into view, so that 20,000 scroll as one list.
"use strict";
(() => {
  const { el, svg } = window.pilotage;
  const THIN = 0.6; // per cent of the width that the shortest bar has
  const ROW = 30; // pixels, as in session.css

  /** A row; the very element that _row.html writes. */
  const row = (r) => {
    const classes = `row k-${r.kind}${r.tone ? ` tone-${r.tone}` : ""}${r.e === null ? " open" : ""}`;
    const made = el("a", { class: classes, href: `#${r.step}`, "data-i": r.i, "data-step": r.step, "data-s": r.s, "data-e": r.e ?? "" });
    const name = el("span", { class: `name d${r.depth}` });
    if (r.chip) name.append(el("span", { class: `chip chip-${r.tone}`, title: r.why }, r.chip), " ");
    name.append(el("bdi", { class: "what", title: r.whole }, r.name));
    if (r.agent) name.append(" ", el("bdi", { class: "by" }, r.agent));
    const bar = svg("svg", { class: "track", "aria-hidden": "true" }, svg("rect", { x: `${r.x}%`, width: `${r.width}%`, height: "100%", rx: "2" }));
    const spent = el("span", { class: "spent", title: r.exact }, r.spent);
    made.append(el("span", { class: "kind" }, r.label), name, bar, el("span", { class: "took" }, r.took), spent);
    return made;
  };

  class Waterfall {
    /** `fetchRows(from)` gives a piece; `total` is how many seconds the bars are wide. */
    constructor(place, { count, size, total, fetchRows }) {
      Object.assign(this, { place, count, size, total, fetchRows, at: null, loads: new Map() });
      this.watch = new IntersectionObserver((seen) => this.#see(seen), { root: place, rootMargin: "800px 0px" });
      const first = place.querySelector(".piece");
      first.dataset.loaded = "yes";
      for (const one of first.querySelectorAll(".row")) one.tabIndex = -1;
      this.#makePieces();
    }

    /** The row element, when its piece is here. */
    find(i) {
      return this.#piece(i)?.querySelector(`.row[data-i="${i}"]`) ?? null;
    }

    /** Mark the row of a step and bring it into view. */
    async mark(i, { scroll = true } = {}) {
      this.wanted = i;
      if (i === null || i === undefined) return;
      const piece = this.#piece(i);
      if (piece && piece.dataset.loaded !== "yes") {
        if (scroll) this.place.scrollTop = this.#topOf(piece) + (i % this.size) * ROW - this.place.clientHeight / 2;
        await this.#load(piece);
      }
      if (this.wanted !== i) return;
      const found = this.find(i);
      this.at?.classList.remove("at");
      this.at?.removeAttribute("aria-current");
      this.at = found;
      found?.classList.add("at");
      found?.setAttribute("aria-current", "step");
      if (found && scroll) this.#show(found);
    }

    /** Move the focus to the row above or below the one that has it, or to the marked one. */
    async step(by) {
      const here = document.activeElement.closest(".row");
      const i = here ? Number(here.dataset.i) + by : Number(this.at?.dataset.i ?? 0);
      if (i < 0 || i >= this.count) return;
      const piece = this.#piece(i);
      if (piece.dataset.loaded !== "yes") await this.#load(piece);
      const found = this.find(i);
      found?.focus({ preventScroll: true });
      if (found) this.#show(found);
    }

    /** What has changed: rows that are new or have ended. */
    change(rows, count, total) {
      const added = rows.filter((r) => r.i >= this.count);
      const isMoved = added.length !== count - this.count;
      this.total = total;
      this.count = count;
      if (isMoved) {
        this.#reset();
      } else {
        this.#makePieces({ growing: true });
        for (const r of rows) this.#put(r);
      }
      this.rescale(total);
    }

    /** The bars for a session that has become longer. */
    rescale(total) {
      this.total = total;
      for (const one of this.place.querySelectorAll(".row")) {
        const begin = Number(one.dataset.s);
        const end = one.dataset.e === "" ? total : Number(one.dataset.e);
        const width = Math.min(100, Math.max(THIN, (100 * (end - begin)) / total));
        const rect = one.querySelector("rect");
        rect.setAttribute("x", `${Math.min((100 * begin) / total, 100 - width)}%`);
        rect.setAttribute("width", `${width}%`);
      }
    }

    #put(r) {
      const piece = this.#piece(r.i);
      if (piece.dataset.loaded !== "yes") return;
      const made = row(r);
      made.tabIndex = -1;
      const old = this.find(r.i);
      if (!old) return void piece.append(made);
      if (old === this.at) {
        made.classList.add("at");
        this.at = made;
      }
      old.replaceWith(made);
    }

    #piece(i) {
      return this.place.children[Math.floor(i / this.size)] ?? null;
    }

    /** A place for every row; what is not here yet is as high as it will be. New pieces of a growing session are. */
    #makePieces({ growing = false } = {}) {
      const wanted = Math.max(1, Math.ceil(this.count / this.size));
      while (this.place.children.length > wanted) this.place.lastElementChild.remove();
      while (this.place.children.length < wanted) {
        const piece = el("div", { class: "piece", "data-from": this.place.children.length * this.size });
        if (growing) piece.dataset.loaded = "yes";
        this.place.append(piece);
        this.watch.observe(piece);
      }
      for (const piece of this.place.children) {
        if (piece.dataset.loaded === "yes") continue;
        piece.style.height = `${Math.min(this.size, this.count - Number(piece.dataset.from)) * ROW}px`;
      }
    }

    #reset() {
      for (const piece of this.place.children) {
        this.watch.unobserve(piece);
        delete piece.dataset.loaded;
      }
      this.loads.clear();
      this.#makePieces();
      for (const piece of this.place.children) this.watch.observe(piece);
      this.onReset?.();
    }

    #see(seen) {
      for (const one of seen) if (one.isIntersecting && one.target.dataset.loaded !== "yes") this.#load(one.target);
    }

    #load(piece) {
      const from = Number(piece.dataset.from);
      if (!this.loads.has(from)) this.loads.set(from, this.#fill(piece, from));
      return this.loads.get(from);
    }

    async #fill(piece, from) {
      const rows = await this.fetchRows(from);
      piece.replaceChildren(...rows.map(row));
      for (const one of piece.children) one.tabIndex = -1;
      piece.dataset.loaded = "yes";
      piece.style.height = "";
      this.loads.delete(from);
      if (this.wanted >= from && this.wanted < from + this.size) this.mark(this.wanted, { scroll: false });
    }

    #topOf(element) {
      return element.getBoundingClientRect().top - this.place.getBoundingClientRect().top + this.place.scrollTop;
    }

    #show(found) {
      const top = this.#topOf(found);
      const isAbove = top < this.place.scrollTop + ROW;
      const isBelow = top + 2 * ROW > this.place.scrollTop + this.place.clientHeight;
      if (isAbove || isBelow) this.place.scrollTop = top - this.place.clientHeight / 2;
    }
  }

  Object.assign(window.pilotage, { Waterfall, renderRow: row });
})();
