// Drawing with WebGL 2: Gaussians over one another into floats, and those in front of the
// background onto the canvas. `shaders` are {splat: [vertex, fragment], screen: [...]}.

function painter(canvas, shaders) {
  const wanted = {alpha: false, antialias: false, depth: false};
  const gl = canvas.getContext('webgl2', wanted);
  if (!gl) throw new Error('this browser shows no WebGL 2');
  if (!gl.getExtension('EXT_color_buffer_float') && !gl.getExtension('EXT_color_buffer_half_float'))
    throw new Error('this browser draws no images of floats');
  const splat = program(gl, ...shaders.splat), screen = program(gl, ...shaders.screen);
  const members = gl.createBuffer(), frame = gl.createFramebuffer(), drawn = texture(gl);
  const attribute = gl.getAttribLocation(splat.program, 'member');
  gl.bindBuffer(gl.ARRAY_BUFFER, members);
  gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, drawn, 0);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  let scene = null, rows = null, count = 0, size = [0, 0];

  return {
    // The scene that is drawn from now on.
    show(next) {
      gl.deleteTexture(rows);
      rows = texture(gl);
      fill(gl, next.rows);
      scene = next;
    },

    // The Gaussians to draw, one over the other.
    order(found) {
      gl.bufferData(gl.ARRAY_BUFFER, found, gl.DYNAMIC_DRAW);
      count = found.length;
    },

    draw(view, {near, degree, deep, antialiased, background}) {
      resize(view);
      gl.viewport(0, 0, view.width, view.height);
      gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      if (scene && count) {
        const {pose} = view, at = splat.uniforms;
        gl.useProgram(splat.program);
        gl.uniform1i(at.texels, scene.texels);
        gl.uniform4fv(at.ranges, scene.ranges);
        gl.uniform1i(at.degree, Math.min(degree, scene.degree));
        gl.uniform1i(at.antialiased, antialiased);
        gl.uniformMatrix3fv(at.turn, true, [0, 4, 8].flatMap(row => pose.slice(row, row + 3)));
        gl.uniform3f(at.shift, pose[3], pose[7], pose[11]);
        gl.uniform3fv(at.eye, eye(view));
        gl.uniform2fv(at.focal, view.focal);
        gl.uniform2fv(at.center, view.center);
        gl.uniform2f(at.size, view.width, view.height);
        gl.uniform1f(at.near, near);
        gl.uniform1f(at.unit, deep ? view.distance : 0);
        gl.bindTexture(gl.TEXTURE_2D, rows);
        gl.enableVertexAttribArray(attribute);
        gl.vertexAttribIPointer(attribute, 1, gl.UNSIGNED_INT, 0, 0);
        gl.vertexAttribDivisor(attribute, 1);
        gl.enable(gl.BLEND);
        gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count);
        gl.disable(gl.BLEND);
        gl.disableVertexAttribArray(attribute);
      }
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      gl.useProgram(screen.program);
      gl.uniform3fv(screen.uniforms.background, background);
      gl.uniform1i(screen.uniforms.deep, deep);
      gl.bindTexture(gl.TEXTURE_2D, drawn);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    },
  };

  function resize({width, height}) {
    if (size[0] === width && size[1] === height) return;
    gl.bindTexture(gl.TEXTURE_2D, drawn);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA16F, width, height, 0, gl.RGBA, gl.HALF_FLOAT, null);
    size = [width, height];
  }
}

function texture(gl) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  return made;
}

// Texels one after the other in a texture as wide as can be.
function fill(gl, bytes) {
  const width = gl.getParameter(gl.MAX_TEXTURE_SIZE), words = new Uint32Array(bytes.buffer);
  const texels = words.length / 4, whole = Math.floor(texels / width);
  if (texels > width * width) throw new Error('this scene is too large for this browser');
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32UI, width, Math.ceil(texels / width));
  const put = (row, columns, count, from) => count && gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, row,
    columns, count, gl.RGBA_INTEGER, gl.UNSIGNED_INT, words, from);
  put(0, width, whole, 0);
  put(whole, texels % width, Math.min(texels % width, 1), 4 * width * whole);
}

// {program, uniforms: {name: location}}.
function program(gl, ...sources) {
  const made = gl.createProgram(), uniforms = {};
  sources.forEach((source, i) => {
    const shader = gl.createShader([gl.VERTEX_SHADER, gl.FRAGMENT_SHADER][i]);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  });
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) {
    const logs = gl.getAttachedShaders(made).map(shader => gl.getShaderInfoLog(shader));
    throw new Error(['a shader does not compile', ...logs, gl.getProgramInfoLog(made)].join('\n'));
  }
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const {name} = gl.getActiveUniform(made, i);
    uniforms[name] = gl.getUniformLocation(made, name);
  }
  return {program: made, uniforms};
}
