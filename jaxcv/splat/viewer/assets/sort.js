// Which Gaussians to draw, the farthest first. Runs in a worker of its own.

const DIGIT = 65536;

// The Gaussians deeper than `near`, in falling order of depth = axis · (x, y, z, 1), those of equal
// depth in falling order of their number: two passes of a counting sort over the bits of the depths
// as floats, which are ordered as the numbers because all of them are positive.
function farthestFirst(positions, [x, y, z, w], near) {
  const members = new Uint32Array(positions.length / 3), depths = new Float32Array(members.length);
  let count = 0;
  for (let i = 0, at = 0; i < members.length; i++, at += 3) {
    const depth = x * positions[at] + y * positions[at + 1] + z * positions[at + 2] + w;
    if (depth > near) {
      depths[count] = depth;
      members[count++] = i;
    }
  }
  const keys = new Uint32Array(depths.buffer);
  const low = new Uint32Array(DIGIT), high = new Uint32Array(DIGIT);
  for (let i = 0; i < count; i++) {
    low[keys[i] & DIGIT - 1]++;
    high[keys[i] >>> 16]++;
  }
  starts(low);
  starts(high);
  const order = new Uint32Array(count), sorted = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[low[keys[i] & DIGIT - 1]++] = i;
  for (const i of order) sorted[count - ++high[keys[i] >>> 16]] = members[i];
  return sorted;
}

function starts(counts) {
  for (let digit = 0, sum = 0; digit < DIGIT; digit++) {
    sum += counts[digit];
    counts[digit] = sum - counts[digit];
  }
}

// As a worker: {positions} once for each scene, then {axis, near, ...} -> {order, axis, ...}.
function answer(scope) {
  let positions;
  scope.onmessage = ({data}) => {
    if (data.positions) positions = data.positions;
    else {
      const order = farthestFirst(positions, data.axis, data.near);
      scope.postMessage({...data, order}, [order.buffer]);
    }
  };
}
