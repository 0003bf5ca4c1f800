// The colours before the first paint, the button that changes them, and times in the reader's own zone as titles.
"use strict";
(() => {
  const ORDER = ["system", "light", "dark"];
  const SIGN = { system: "◐", light: "☀", dark: "☾" };
  const NAME = { system: "as the system", light: "light", dark: "dark" };
  const root = document.documentElement;

  const stored = () => {
    try {
      const value = localStorage.getItem("pilotage.theme");
      return ORDER.includes(value) ? value : "system";
    } catch {
      return "system"; // storage is switched off
    }
  };
  const apply = (theme) => {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
  };
  const keep = (theme) => {
    try {
      localStorage.setItem("pilotage.theme", theme);
    } catch {
      // it holds for this page only
    }
  };

  const own = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
  const localise = (scope) => {
    for (const time of scope.querySelectorAll("time[data-at]")) {
      time.title = own.format(new Date(Number(time.dataset.at) * 1000));
    }
  };
  window.pilotage = { localise };

  apply(stored());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = (theme) => {
      button.textContent = SIGN[theme];
      button.setAttribute("aria-label", `Colours: ${NAME[theme]}`);
      button.title = `Colours: ${NAME[theme]}`;
    };
    let theme = stored();
    show(theme);
    button.hidden = false;
    button.addEventListener("click", () => {
      theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
      apply(theme);
      keep(theme);
      show(theme);
    });
    localise(document);
  });
})();
