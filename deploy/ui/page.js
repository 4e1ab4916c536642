// The page says its own language; Gradio would say the browser's.
const root = document.documentElement;
const keepLanguage = () => {
  if (root.lang !== LANGUAGE) root.lang = LANGUAGE;
};
new MutationObserver(keepLanguage).observe(root, { attributeFilter: ["lang"] });
keepLanguage();

// Ctrl-Enter (Cmd-Enter on a Mac) presses the main button of the tab that is open.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  for (const button of document.querySelectorAll("button.rg-main, .rg-main button")) {
    if (button.offsetParent !== null) {
      event.preventDefault();
      event.stopPropagation();
      button.click();
      return;
    }
  }
}, true);

// What is filled in goes along when the language is changed: the link presses a hidden button, whose
// event has the values (`_keep` in page.py); the page that opens takes them back (`_reopen`).
const KEPT = "rankguard-kept";
const BOXES = ["query", "typed", "file", "instruction", "compare", "second", "wanted", "top"];
let other = "";
document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".rg-head a");
  const keep = document.querySelector("button.rg-keep, .rg-keep button");
  if (!link || !keep || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  other = link.href;
  keep.click();
}, true);
window.rankguard = {
  keep(values) {
    const kept = Object.fromEntries(BOXES.map((name, at) => [name, values[at]]));
    kept.file = kept.file?.path;
    kept.asked = document.querySelector("#results .rg-order") !== null;
    kept.found = document.querySelector("#found .rg-order") !== null;
    const found = document.querySelector("#found");
    kept.searching = found !== null && found.offsetParent !== null;
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(kept));
      location.assign(other);
    } catch {
      window.open(other); // too much to be kept: here it stays
    }
  },
  kept() {
    const kept = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
    return kept;
  },
};
