// In front of the background: colors, or the mean depth d in units of what the camera turns about
// as a gray of 1 / (1 + d), so that it is half bright there.

precision highp float;

uniform sampler2D drawn;
uniform vec3 background;
uniform bool deep;
out vec4 color;

void main() {
  vec4 seen = texelFetch(drawn, ivec2(gl_FragCoord.xy), 0);
  if (deep) seen.rgb = vec3(seen.a * seen.a / max(seen.a + seen.r, 1e-6));
  color = vec4(seen.rgb + (1.0 - seen.a) * background, 1);
}
