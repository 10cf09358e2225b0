(function () {
  var words = document.body.dataset;

  // The code of all cells comes and goes at a click.
  document.getElementById("toggle").addEventListener("click", function () {
    var shown = document.body.classList.toggle("with-code");
    document.querySelectorAll("details.code").forEach(function (one) { one.open = shown; });
    this.textContent = shown ? this.dataset.hide : this.dataset.show;
  });

  // The contents stand open where there is room at the side.
  var contents = document.querySelector("details.contents");
  var wide = window.matchMedia("(min-width: 1200px)");
  function fit() { if (contents) { contents.open = wide.matches; } }
  wide.addEventListener("change", fit);
  fit();

  // A table is sorted by the column whose head is clicked: numbers from the largest, words from A.
  function sort(table, column, head) {
    var before = head.getAttribute("aria-sort");
    var isNumber = head.classList.contains("number");
    var first = isNumber ? "descending" : "ascending";
    var other = isNumber ? "ascending" : "descending";
    var order = before === first ? other : first;
    var sign = order === "ascending" ? 1 : -1;
    var rows = Array.from(table.tBodies[0].rows);
    function key(row) {
      var cell = row.cells[column];
      if (!isNumber) { return cell.textContent; }
      return cell.dataset.sort === undefined ? null : Number(cell.dataset.sort);
    }
    rows.sort(function (one, two) {
      var a = key(one), b = key(two);
      if (a === null || b === null) { return (a === null) - (b === null); }  // gaps come last
      return sign * (isNumber ? a - b : a.localeCompare(b));
    });
    rows.forEach(function (row) { table.tBodies[0].append(row); });
    table.querySelectorAll("[aria-sort]").forEach(function (one) { one.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", order);
  }
  document.querySelectorAll("table.frame").forEach(function (table) {
    if (table.tBodies[0].rows.length < 3) { return; }
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.title = words.sort;
      button.append.apply(button, head.childNodes);
      if (!button.textContent) { button.setAttribute("aria-label", words.sort); }
      head.append(button);
      button.addEventListener("click", function () { sort(table, column, head); });
    });
  });

  // What is wider than its box says so, and can be scrolled with the keyboard.
  function mark() {
    document.querySelectorAll(".wide, .picture > a, .formula").forEach(function (box) {
      var scrolls = box.scrollWidth > box.clientWidth + 1;
      box.classList.toggle("scrolls", scrolls);
      if (scrolls) { box.tabIndex = 0; } else if (box.tagName !== "A") { box.removeAttribute("tabindex"); }
      var hint = box.previousElementSibling;
      var isHint = hint && hint.classList.contains("hint");
      if (scrolls && !isHint && !box.classList.contains("formula")) {
        hint = document.createElement("p");
        hint.className = "hint";
        hint.textContent = "⟷ " + words.scroll;
        box.before(hint);
      } else if (!scrolls && isHint) { hint.remove(); }
    });
  }
  window.addEventListener("resize", mark);
  window.addEventListener("load", mark);
  document.addEventListener("toggle", mark, true);
  mark();
}());
