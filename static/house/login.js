// The staff pages' style sheet needs light-dark() and nesting; a browser without them would
// show a page that looks broken, so say it before somebody signs in.
(() => {
  const supported = window.CSS && CSS.supports("color", "light-dark(red, red)") && CSS.supports("selector(&)");
  const note = document.getElementById("browser-note");
  if (note && !supported) note.hidden = false;
})();
