(function () {
  "use strict";
  // Without this script everything can be read; it adds copying, and unfolds for print.
  var closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.prototype.slice.call(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (d) { d.open = true; });
  });
  window.addEventListener("afterprint", function () {
    closed.forEach(function (d) { d.open = false; });
  });
  if (!navigator.clipboard) { return; }
  document.querySelectorAll(".line").forEach(function (line) {
    var note = line.querySelector("annotation");
    if (!note) { return; }
    var button = document.createElement("button");
    button.className = "copy";
    button.type = "button";
    button.textContent = "TeX";
    button.setAttribute("aria-label", "Copy this formula as LaTeX");
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(note.textContent).then(function () {
        button.textContent = "copied";
        setTimeout(function () { button.textContent = "TeX"; }, 1200);
      });
    });
    line.appendChild(button);
  });
})();
