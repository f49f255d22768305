/* What is wider than its box can be scrolled by keyboard, too: blocks of code, tables, equations. Only where it is needed, so that
   the Tab key does not stop at every block. */
function reachable() {
  for (const box of document.querySelectorAll("pre, .table-wrapper, .equation")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", reachable);
addEventListener("resize", reachable);
