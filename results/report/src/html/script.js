// Niceties only: the page is whole without them. The same operation lights up wherever it is shown, and the pictures of
// the whole run can be widened.
(() => {
  let lit = [];
  document.addEventListener("mouseover", (event) => {
    const at = event.target.closest("[data-op]");
    for (const element of lit) element.classList.remove("lit");
    lit = at ? [...document.querySelectorAll('[data-op="' + at.dataset.op + '"]')] : [];
    for (const element of lit) element.classList.add("lit");
  });
  const zoom = document.getElementById("zoom");
  zoom?.addEventListener("input", () => {
    document.documentElement.style.setProperty("--zoom", zoom.value);
  });
})();
