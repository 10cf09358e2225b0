document.getElementById("toggle").addEventListener("click", function () {
  var shown = document.body.classList.toggle("with-code");
  document.querySelectorAll("details.code").forEach(function (one) { one.open = shown; });
  this.textContent = shown ? this.dataset.hide : this.dataset.show;
});
