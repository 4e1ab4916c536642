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
