(function () {
  "use strict";
  var root = document.documentElement;
  var specs = Array.prototype.map.call(document.querySelectorAll("script[data-plot]"), function (node) {
    return { at: document.getElementById(node.dataset.plot), spec: JSON.parse(node.textContent) };
  });
  function coloured(value, style) {
    if (typeof value === "string") {
      var name = /^var\((--\w+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map(function (item) { return coloured(item, style); });
    if (value && typeof value === "object") {
      var copy = {};
      Object.keys(value).forEach(function (key) { copy[key] = coloured(value[key], style); });
      return copy;
    }
    return value;
  }
  function draw(width) {
    var style = getComputedStyle(root);
    specs.forEach(function (plot) {
      if (!plot.at.offsetParent && !width) return;
      var figure = coloured(plot.spec, style);
      var room = width ? Math.min(width, plot.at.clientWidth || width) : plot.at.clientWidth;
      figure.layout.font.family = getComputedStyle(document.body).fontFamily;
      figure.layout.width = room;
      if (room < 480) narrow(figure);
      Plotly.react(plot.at, figure.data, figure.layout, { displayModeBar: false, responsive: false });
      plot.width = room;
    });
  }
  function narrow(figure) {
    figure.layout.font.size = 11;
    var ticks = figure.layout.yaxis && figure.layout.yaxis.ticktext;
    if (ticks) {
      figure.layout.yaxis.ticktext = ticks.map(function (text) {
        return text.length > 22 && text.indexOf("<") < 0 ? text.slice(0, 20) + "…" : text;
      });
    }
    figure.data.forEach(function (trace) {
      if (trace.type !== "heatmap") return;
      trace.showscale = false;
      if (trace.x.length > 9) delete trace.texttemplate;
    });
  }
  function redraw() { root.classList.remove("on-paper"); draw(); }
  draw();
  var waiting;
  window.addEventListener("resize", function () { clearTimeout(waiting); waiting = setTimeout(redraw, 120); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("toggle", redraw, true);
  // A sheet of paper is white, and narrower than most windows.
  window.addEventListener("beforeprint", function () { root.classList.add("on-paper"); draw(660); });
  window.addEventListener("afterprint", redraw);
})();
