// The record under the player: raw events, the proof, recursive thought that is looked for late, and paper.
"use strict";
(() => {
  const { renderRaw } = window.pilotage;
  const $ = (id) => document.getElementById(id);

  const startRaw = ({ page, isFile, get, trying }) => {
    let after = 0;
    const more = async () => {
      const events = isFile ? rawOfFile(after) : await trying(() => get(`/events.json?after=${after}`));
      if (!events) return;
      $("raw-list").append(...events.map(renderRaw));
      after = events.length ? events.at(-1).seq : after;
      $("raw-more").hidden = !events.length || after >= page.last;
    };
    const rawOfFile = (from) => page.allSteps.filter((s) => s.seq > from).slice(0, 50)
      .map(({ seq, kind, at: when, facts, hash }) => ({ seq, kind, at: when, facts: Object.fromEntries(facts), hash }));
    $("raw").hidden = false;
    $("raw").addEventListener("toggle", () => after || more());
    $("raw-more").addEventListener("click", more);
  };

  const startThought = ({ isFile, part, trying }) => {
    const late = $("late-thought");
    if (!late || isFile) return;
    const seen = new IntersectionObserver(async ([one]) => {
      if (!one.isIntersecting) return;
      seen.disconnect();
      const found = await trying(() => part("/thought"));
      if (found) late.outerHTML = found; // a template of ours, everything in it escaped
      else setTimeout(() => seen.observe(late), 3000);
    });
    seen.observe(late);
  };

  const startProof = ({ part, trying }) => {
    document.addEventListener("click", async (event) => {
      if (event.target.id !== "verify") return;
      event.preventDefault();
      $("proof").textContent = "Verifying …";
      const proof = await trying(() => part("/verify"));
      if (proof) $("proof").innerHTML = proof; // a template of ours, everything in it escaped
      else $("proof").textContent = "The server did not answer.";
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

  window.pilotage.startRecord = (around) => {
    startRaw(around);
    startProof(around);
    startThought(around);
  };
})();
