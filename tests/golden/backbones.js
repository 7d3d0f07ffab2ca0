// Runs an ONNX file in ONNX Runtime, one picture at a time. Called by backbones.py.
//   node backbones.js NODE_MODULES MODEL SIDE IN.f32 OUTPUT OUT.f32
// IN holds pictures [3][SIDE][SIDE]; OUT gets the tensor OUTPUT of each, one behind the other.
const fs = require('fs');
const [modules, model, side, input, output, out] = process.argv.slice(2);
const ort = require(modules + '/onnxruntime-node');
(async () => {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1 });
  const bytes = fs.readFileSync(input);
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const size = 3 * side * side;
  const parts = [];
  for (let at = 0; at < floats.length; at += size) {
    const picture = new ort.Tensor('float32', floats.slice(at, at + size), [1, 3, +side, +side]);
    const result = (await session.run({ [session.inputNames[0]]: picture }))[output];
    parts.push(Buffer.from(Float32Array.from(result.data).buffer));
  }
  fs.writeFileSync(out, Buffer.concat(parts));
})();
