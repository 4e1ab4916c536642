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
