precision highp float;

in vec2 place;
flat in vec4 paint;
out vec4 color;

void main() {
  float alpha = min(paint.a * exp(-0.5 * dot(place, place)), OPAQUEST);
  if (alpha < FAINT) discard;
  color = vec4(paint.rgb * alpha, alpha);
}
