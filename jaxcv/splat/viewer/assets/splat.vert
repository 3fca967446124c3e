// A Gaussian as a square around where it is drawn: the affine approximation of the camera around
// its center, as `jaxcv.splat.projection` has it, and its color from there.

precision highp float;
precision highp usampler2D;

uniform usampler2D rows;
uniform int texels; // of a Gaussian
uniform vec4 ranges; // of the harmonics of degrees 1 to 4
uniform int degree;
uniform bool antialiased;
uniform mat3 turn;
uniform vec3 shift;
uniform vec3 eye;
uniform vec2 focal;
uniform vec2 center;
uniform vec2 size;
uniform float near;
uniform float unit; // of depth; 0: in color

in uint member;
out vec2 place; // in standard deviations
flat out vec4 paint; // color or depth, and opacity

uvec4 texel(int part) {
  int at = int(member) * texels + part, width = textureSize(rows, 0).x;
  return texelFetch(rows, ivec2(at % width, at / width), 0);
}

mat3 rotation(vec4 q) {
  q = normalize(q);
  vec3 v = q.yzw, w = q.x * v;
  mat3 skew = mat3(0, w.z, -w.y, -w.z, 0, w.x, w.y, -w.x, 0);
  return mat3(1) + 2.0 * (skew + outerProduct(v, v) - mat3(dot(v, v)));
}

// The coefficients of function `index` >= 1 in (-1, 1).
vec3 coefficients(int index) {
  uint word = texel(2 + (index - 1) / 4)[(index - 1) % 4];
  return vec3(ivec3(uvec3(word) << uvec3(24, 16, 8)) >> 24) / 127.0;
}

// As `jaxcv.ops.sh`.
vec3 harmonics(vec3 constant, vec3 way) {
  float x = way.x, y = way.y, z = way.z, xx = x * x, yy = y * y, zz = z * z, across = xx - yy;
  vec3 sum = 0.28209479177387814 * constant;
  if (degree > 0)
    sum += ranges.x * 0.4886025119029199
        * (z * coefficients(2) - y * coefficients(1) - x * coefficients(3));
  if (degree > 1)
    sum += ranges.y * (1.0925484305920792
        * (x * y * coefficients(4) - y * z * coefficients(5) - x * z * coefficients(7))
        + 0.31539156525252005 * (3.0 * zz - 1.0) * coefficients(6)
        + 0.5462742152960396 * across * coefficients(8));
  if (degree > 2)
    sum += ranges.z * (0.5900435899266435
        * (y * (yy - 3.0 * xx) * coefficients(9) + x * (3.0 * yy - xx) * coefficients(15))
        + z * (2.890611442640554 * x * y * coefficients(10)
        + 1.445305721320277 * across * coefficients(14))
        - 0.4570457994644658 * (5.0 * zz - 1.0)
        * (y * coefficients(11) + x * coefficients(13))
        + 0.3731763325901154 * z * (5.0 * zz - 3.0) * coefficients(12));
  if (degree > 3)
    sum += ranges.w * (2.5033429417967046 * x * y * across * coefficients(16)
        + 1.7701307697799304 * z * (y * (yy - 3.0 * xx) * coefficients(17)
        + x * (3.0 * yy - xx) * coefficients(23))
        + (7.0 * zz - 1.0) * (0.9461746957575601 * x * y * coefficients(18)
        + 0.47308734787878004 * across * coefficients(22))
        - 0.6690465435572892 * z * (7.0 * zz - 3.0)
        * (y * coefficients(19) + x * coefficients(21))
        + 0.10578554691520431 * (zz * (35.0 * zz - 30.0) + 3.0) * coefficients(20)
        + 0.6258357354491761 * (across * across - 4.0 * xx * yy) * coefficients(24));
  return sum;
}

void main() {
  gl_Position = vec4(2, 2, 2, 1); // not seen
  uvec4 first = texel(0), second = texel(1);
  vec3 mean = uintBitsToFloat(first.xyz), point = turn * mean + shift;
  if (point.z <= near) return;
  vec2 s = unpackHalf2x16(second.x), last = unpackHalf2x16(second.w);
  vec3 scales = exp(vec3(unpackHalf2x16(first.w), s.x));
  uint largest = second.x >> 16 & 3u; // of the quaternion, which is 1
  float opacity = float(second.x >> 18) / 16383.0;
  vec3 others = vec3(unpackSnorm2x16(second.y), unpackSnorm2x16(second.z).x);
  vec3 color = vec3(unpackHalf2x16(second.z).y, last);
  vec4 q = largest == 0u ? vec4(1, others)
      : largest == 1u ? vec4(others.x, 1, others.yz)
      : largest == 2u ? vec4(others.xy, 1, others.z) : vec4(others, 1);

  // The rows of F = J R_camera M.
  mat3 axes = turn * rotation(q);
  for (int i = 0; i < 3; i++) axes[i] *= scales[i];
  mat3 along = transpose(axes);
  vec2 margin = MARGIN / 2.0 * size;
  vec2 plane = clamp(point.xy / point.z, (-center - margin) / focal,
      (size - center + margin) / focal);
  vec3 x = focal.x / point.z * (along[0] - plane.x * along[2]);
  vec3 y = focal.y / point.z * (along[1] - plane.y * along[2]);

  // The triangular root (a, b, c) of the inverse of F F^T + BLUR.
  float xx = dot(x, x), xy = dot(x, y), yy = dot(y, y) + BLUR, deviation = sqrt(yy);
  vec3 minors = cross(x, y) / deviation;
  float sharp = dot(minors, minors), blurred = sharp + BLUR * (xx + yy) / yy;
  float a = inversesqrt(blurred), b = -a * xy / yy, c = 1.0 / deviation;
  if (antialiased) opacity *= sqrt(max(sharp / blurred, SMALLEST));
  if (opacity < FAINT) return;

  // Beyond this many standard deviations it is fainter than FAINT.
  float reach = sqrt(2.0 * log(opacity / FAINT));
  place = reach * vec2((gl_VertexID & 1) * 2 - 1, (gl_VertexID & 2) - 1);
  float down = place.y / c, right = (place.x - b * down) / a;
  vec2 pixel = focal * point.xy / point.z + center + vec2(right, down);
  gl_Position = vec4(2.0 * pixel / size - 1.0, 0, 1) * vec4(1, -1, 1, 1);
  vec3 seen = max(harmonics(color, normalize(mean - eye)) + 0.5, 0.0);
  paint = vec4(unit > 0.0 ? vec3(point.z / unit, 0, 0) : seen, opacity);
}
