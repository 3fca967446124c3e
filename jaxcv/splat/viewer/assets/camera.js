// The camera: a pose [R | t] from world to camera in rows (x right, y down, z forward), focal and
// center in pixels of an image of width x height, which way is up in the world, and the distance
// along the camera's axis of what it turns about.

const STEEPEST = 1.55; // radians above or below the horizon

// The same camera for another window, in which its whole image fits.
function fitted(view, width, height) {
  const scale = Math.min(width / view.width, height / view.height);
  const center = [
    width / 2 + scale * (view.center[0] - view.width / 2),
    height / 2 + scale * (view.center[1] - view.height / 2),
  ];
  return {...view, width, height, center, focal: view.focal.map(x => scale * x)};
}

// What it turns about turned by angles, so that its near side goes right and down.
function orbited(view, right, down) {
  const up = direction(view.pose, view.up);
  const rise = Math.asin(Math.max(-1, Math.min(1, up[2]))); // of the axis over the horizon
  const lowest = Math.min(-STEEPEST, rise), highest = Math.max(STEEPEST, rise);
  down = rise - Math.max(lowest, Math.min(highest, rise - down));
  const turn = product(rotation([1, 0, 0], down), rotation(up, right));
  const axes = [0, 1, 2].map(i => turned(turn, [0, 4, 8].map(row => view.pose[row + i])));
  const away = [view.pose[3], view.pose[7], view.pose[11] - view.distance];
  const shift = turned(turn, away);
  shift[2] += view.distance;
  return {...view, pose: [0, 1, 2].flatMap(i => [...axes.map(axis => axis[i]), shift[i]])};
}

// What is seen moved by pixels, at the distance of what it turns about.
function panned(view, right, down) {
  const pose = [...view.pose];
  pose[3] += right * view.distance / view.focal[0];
  pose[7] += down * view.distance / view.focal[1];
  return {...view, pose};
}

// What it turns about, `factor` times as far away.
function zoomed(view, factor) {
  const pose = [...view.pose], distance = view.distance * factor;
  pose[11] += distance - view.distance;
  return {...view, pose, distance};
}

// Where the camera is in the world: -R^T t.
function eye({pose}) {
  return [0, 1, 2].map(i => -(pose[i] * pose[3] + pose[4 + i] * pose[7] + pose[8 + i] * pose[11]));
}

function direction(pose, way) {
  return [0, 4, 8].map(row => pose[row] * way[0] + pose[row + 1] * way[1] + pose[row + 2] * way[2]);
}

// Rodrigues: c + s [n] + (1 - c) n n^T, in rows.
function rotation([x, y, z], angle) {
  const c = Math.cos(angle), s = Math.sin(angle), d = 1 - c;
  return [
    c + d * x * x, d * x * y - s * z, d * x * z + s * y,
    d * x * y + s * z, c + d * y * y, d * y * z - s * x,
    d * x * z - s * y, d * y * z + s * x, c + d * z * z,
  ];
}

function turned(matrix, [x, y, z]) {
  return [0, 3, 6].map(row => matrix[row] * x + matrix[row + 1] * y + matrix[row + 2] * z);
}

function product(a, b) {
  const columns = [0, 1, 2].map(i => turned(a, [b[i], b[3 + i], b[6 + i]]));
  return [0, 1, 2].flatMap(row => columns.map(column => column[row]));
}
