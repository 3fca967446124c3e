"""The look of the page, and its little script."""

CSS = """
:root { color-scheme: light dark; --page: #faf9f7; --card: #fff; --ink: #23262b; --quiet: #71757d;
  --line: #e5e3de; --train: #3c6fb4; --eval: #d4632a; --good: #2c7d52; --bad: #b93a3a;
  --wait: #9a6a10; }
@media (prefers-color-scheme: dark) { :root { --page: #16181b; --card: #1e2125; --ink: #e4e5e7;
  --quiet: #949aa3; --line: #32363c; --train: #7aa9e6; --eval: #f0935f; --good: #6cc492;
  --bad: #ee8080; --wait: #e0b35a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 44px 0 14px; font-weight: 620; }
h3 { font-size: 13px; margin: 18px 0 8px; font-weight: 600; color: var(--quiet); }
p { margin: 6px 0; }
.quiet, small { color: var(--quiet); }
.status { font-size: 13px; font-weight: 600; padding: 3px 10px; border-radius: 20px;
  vertical-align: 5px; color: var(--wait); border: 1px solid currentColor; white-space: nowrap; }
.status.finished { color: var(--good); }
.status.diverged { color: var(--bad); }
.bar { height: 5px; border-radius: 3px; background: var(--line); margin-top: 14px; }
.bar i { display: block; height: 100%; border-radius: 3px; background: var(--train); }
.figures, .charts, .films, .sections, .layers { display: grid; gap: 14px; }
.films { align-items: start; }
.figures { grid-template-columns: repeat(auto-fill, minmax(min(100%, 165px), 1fr)); }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
.films { grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
.sections, .layers { grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
.sections > div, .layers > div, .figure, .chart, .film, .card { background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; margin: 0; }
.sections h3, .film h3, .layers h3 { margin: 0 0 8px; }
.figure span, .figure small { display: block; overflow-wrap: anywhere; }
.figure span { color: var(--quiet); font-size: 14px; }
.figure small { font-size: 12px; line-height: 1.35; }
.figure b { font-size: 30px; line-height: 1.25; font-weight: 620;
  font-variant-numeric: tabular-nums; }
.chart figcaption { display: flex; gap: 4px 14px; flex-wrap: wrap; font-size: 13px; }
.chart figcaption > b { margin-right: auto; font-size: 14px; overflow-wrap: anywhere; }
.key { color: var(--quiet); } .key b { font-weight: 600; font-variant-numeric: tabular-nums; }
.key.train b { color: var(--train); } .key.eval b { color: var(--eval); }
svg { display: block; width: 100%; margin-top: 6px; overflow: visible; }
svg polyline { fill: none; stroke-width: 1.7; stroke-linejoin: round; }
svg .raw { stroke: var(--train); stroke-width: 1; opacity: .28; }
svg polyline.train { stroke: var(--train); } svg polyline.eval { stroke: var(--eval); }
svg circle.train { fill: var(--train); } svg circle.eval { fill: var(--eval); }
svg .frame line { stroke: var(--line); } svg .cross { stroke: var(--quiet); stroke-dasharray: 2 3; }
svg text { font-size: 11px; fill: var(--quiet); text-anchor: middle; }
svg text.y, svg text.end { text-anchor: end; }
.film .stack { display: flex; gap: 10px; overflow-x: auto; }
.film figure { margin: 0; flex: none; max-width: 100%; }
.film img, .film video { display: block; max-width: 100%; max-height: 480px; border-radius: 4px; }
.film figcaption { font-size: 13px; color: var(--quiet); margin-top: 6px; }
.film figcaption b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
.film.live .stack { display: block; } .film.live figure:not(.on) { display: none; }
.film.wide { grid-column: 1 / -1; } .film.wide img { max-height: none; }
.film.live img { cursor: zoom-in; } .film figure:has(.whole) { overflow-x: auto; }
.film.live img.whole { max-width: none; max-height: none; cursor: zoom-out; }
.film input { width: 100%; margin: 10px 0 0; accent-color: var(--train); }
.findings { padding: 0; margin: 0 0 14px; list-style: none; }
.findings li { border-left: 3px solid var(--eval); padding: 2px 12px; margin: 6px 0; }
.fine { color: var(--good); margin-bottom: 14px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { font-weight: 400; color: var(--quiet); text-align: left; padding: 3px 14px 3px 0;
  vertical-align: top; width: 1%; white-space: nowrap; }
td:not(:last-child) { width: 1%; white-space: nowrap; padding-right: 18px; }
td { padding: 3px 0; vertical-align: top;
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.bars td:last-child { width: 1%; white-space: nowrap; text-align: right; padding-left: 12px; }
.bars i { display: block; height: 9px; border-radius: 2px; background: var(--train); }
.bars i.bad { background: var(--eval); }
.bars td.track { width: auto; padding-right: 0; }
.bars .track { vertical-align: middle; }
.figures + .card { margin-top: 14px; }
summary { color: var(--quiet); font-size: 13px; margin-top: 6px; cursor: pointer; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 14px; margin: 0 0 8px; font-size: 13px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
"""

# The slider of a film, and under the pointer the step and values of a chart (read back from the
# drawn points: the page holds no second copy of them).
SCRIPT = """
for (const film of document.querySelectorAll('.film')) {
  const frames = [...film.querySelectorAll('figure')], slider = film.querySelector('input');
  const show = i => frames.forEach((frame, j) => frame.classList.toggle('on', i == j));
  film.classList.add('live');
  show(frames.length - 1);
  if (slider) slider.oninput = () => show(+slider.value);
  for (const image of film.querySelectorAll('img'))
    image.onclick = () => image.classList.toggle('whole');
}
const short = v => Math.abs(v) >= 1e-3 && Math.abs(v) < 1e6 || v == 0
  ? v.toLocaleString('en', {maximumSignificantDigits: 3}) : v.toExponential(1);
for (const svg of document.querySelectorAll('.chart svg')) {
  const [x0, x1, y0, y1, log] = svg.dataset.scale.split(',').map(Number);
  const box = svg.viewBox.baseVal, left = 46, right = box.width - 10, top = 8;
  const bottom = box.height - 22, keys = svg.parentNode.querySelectorAll('.key b');
  const was = [...keys].map(key => key.textContent), name = svg.parentNode.querySelector('b');
  const title = name.textContent, lines = svg.querySelectorAll('polyline:not(.raw)');
  const cross = document.createElementNS('http://www.w3.org/2000/svg', 'line');
  const set = values => Object.entries(values).forEach(([k, v]) => cross.setAttribute(k, v));
  set({class: 'cross', y1: top, y2: bottom});
  svg.onpointermove = event => {
    const rect = svg.getBoundingClientRect();
    const x = Math.min(Math.max((event.clientX - rect.left) / rect.width * box.width, left), right);
    set({x1: x, x2: x}); svg.append(cross);
    const step = Math.round(x0 + (x - left) / (right - left) * (x1 - x0));
    name.textContent = title + ' at step ' + step.toLocaleString('en');
    for (const line of lines) {
      const closer = (a, b) => Math.abs(b.x - x) < Math.abs(a.x - x) ? b : a;
      const near = [...line.points].reduce(closer);
      const y = y0 + (bottom - near.y) / (bottom - top) * (y1 - y0);
      const key = svg.parentNode.querySelector('.key.' + line.getAttribute('class') + ' b');
      key.textContent = short(log ? 10 ** y : y);
    }
  };
  svg.onpointerleave = () => {
    cross.remove(); name.textContent = title; keys.forEach((key, i) => key.textContent = was[i]);
  };
}
"""
