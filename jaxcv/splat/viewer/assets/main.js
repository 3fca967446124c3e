// The page: what is shown, how it is moved, and where the scene comes from.

const element = id => document.getElementById(id);
const start = JSON.parse(element('start').textContent);
const canvas = element('canvas'), root = document.documentElement;
const BACKGROUNDS = {white: [1, 1, 1], black: [0, 0, 0]};
const POLL = 1000; // milliseconds
const shown = {view: start.view, degree: Infinity, deep: false, background: start.background};

let scene = null, coming = null, told = ''; // `coming` is drawn as soon as it is sorted
let sorted = '', sorting = false, framed = false, brush;

// Drawing

const worker = new Worker(URL.createObjectURL(
  new Blob([element('sort').textContent, 'answer(self);'], {type: 'text/javascript'})));

function change(what) {
  Object.assign(shown, what);
  if (!framed) requestAnimationFrame(draw);
  framed = true;
  root.dataset.state = 'busy';
}

function draw() {
  framed = false;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * devicePixelRatio));
  const view = fitted(shown.view, canvas.width, canvas.height), axis = view.pose.slice(8);
  if ((coming || scene) && !sorting && (coming || sorted !== axis.join())) {
    if (coming) worker.postMessage({positions: coming.positions}, [coming.positions.buffer]);
    worker.postMessage({axis, near: start.near, number: (coming || scene).number});
    sorting = true;
  }
  brush.draw(view, {...start, ...shown, background: BACKGROUNDS[shown.background]});
  describe();
  if (scene && !sorting) root.dataset.state = 'settled';
}

worker.onmessage = ({data}) => {
  sorting = false;
  if (coming?.number === data.number) {
    brush.show(coming);
    [scene, coming] = [coming, null];
  }
  if (scene?.number === data.number) {
    brush.order(data.order);
    sorted = data.axis.join();
  }
  change({});
};

function describe() {
  const degree = scene && Math.min(shown.degree, scene.degree);
  root.dataset.background = shown.background;
  element('deep').setAttribute('aria-pressed', shown.deep);
  element('degree').textContent = `degree ${degree ?? '-'}`;
  const count = scene ? `${scene.count.toLocaleString('en')} Gaussians` : 'no Gaussians yet';
  element('caption').textContent = [start.title, count, told].filter(Boolean).join(' · ');
}

function failed(error) {
  root.dataset.state = 'failed';
  element('caption').textContent = error.message;
}

// Commands

const commands = {
  deep: () => change({deep: !shown.deep}),
  degree: () => {
    const most = scene ? scene.degree : 0;
    change({degree: (Math.min(shown.degree, most) + 1) % (most + 1)});
  },
  background: () => change({background: shown.background === 'white' ? 'black' : 'white'}),
  home: () => change({view: start.view}),
  bare: () => root.toggleAttribute('data-bare'),
};
const KEYS = {d: 'deep', s: 'degree', b: 'background', r: 'home', h: 'bare'};

for (const button of document.querySelectorAll('button')) button.onclick = commands[button.id];
addEventListener('keydown', event => {
  const command = commands[KEYS[event.key]];
  if (command && !event.ctrlKey && !event.metaKey && !event.altKey) command();
  else if (event.key >= '0' && event.key <= '4') change({degree: +event.key});
});
addEventListener('resize', () => change({}));

// Pointers: one turns, with a modifier or another button moves, two move and zoom.

const pointers = new Map();
canvas.addEventListener('pointerdown', event => {
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
});
for (const name of ['pointerup', 'pointercancel'])
  addEventListener(name, event => pointers.delete(event.pointerId));
addEventListener('pointermove', event => {
  const before = pointers.get(event.pointerId), now = [event.clientX, event.clientY];
  if (!before) return;
  pointers.set(event.pointerId, now);
  const [right, down] = now.map((x, i) => x - before[i]), {view} = shown;
  const {clientWidth: width, clientHeight: height} = canvas, side = Math.min(width, height);
  const pixels = 1 / Math.min(width / view.width, height / view.height); // of the camera
  if (pointers.size === 2) {
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const apart = at => Math.max(1, Math.hypot(at[0] - other[0], at[1] - other[1]));
    const moved = panned(view, pixels * right / 2, pixels * down / 2);
    change({view: zoomed(moved, apart(before) / apart(now))});
  } else if (event.shiftKey || event.ctrlKey || event.buttons > 1)
    change({view: panned(view, pixels * right, pixels * down)});
  else change({view: orbited(view, Math.PI * right / side, Math.PI * down / side)});
});
canvas.addEventListener('wheel', event => {
  event.preventDefault();
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  change({view: zoomed(shown.view, Math.exp(0.001 * lines * event.deltaY))});
}, {passive: false});
canvas.addEventListener('contextmenu', event => event.preventDefault());

// The scene: in the page, or from where it is served

let number = 0;

async function load(bytes) {
  coming = {...opened(await inflated(bytes)), number: ++number};
  change({});
}

async function poll(tag) {
  try {
    const reply = await fetch(start.source, {headers: {'If-None-Match': tag}, cache: 'no-store'});
    if (reply.status === 200) {
      tag = reply.headers.get('ETag');
      told = decodeURIComponent(reply.headers.get('X-Told'));
      await load(await reply.arrayBuffer());
    } else if (reply.status !== 304) throw new Error(await reply.text());
    else if (root.dataset.state === 'failed') change({});
  } catch (error) {
    failed(error);
  }
  setTimeout(poll, POLL, tag);
}

function begin() {
  const text = name => element(name).textContent.trim();
  const shader = name => `#version 300 es\n${start.constants}\n${text(name)}`;
  brush = painter(canvas, {
    splat: ['splat.vert', 'splat.frag'].map(shader),
    screen: ['screen.vert', 'screen.frag'].map(shader),
  });
  change({});
  return start.source ? poll('') : load(decoded(text('scene')));
}

addEventListener('unhandledrejection', event => failed(event.reason));
addEventListener('error', event => failed(event.error ?? new Error(event.message)));
begin();
