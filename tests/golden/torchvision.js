// Runs an ONNX file in ONNX Runtime on one thread. Called by test_torchvision.py.
//   node torchvision.js NODE_MODULES MODEL BATCH HEIGHT WIDTH IN.f32 OUT.f32 RUNS
// IN holds BATCH pictures [3][HEIGHT][WIDTH]; OUT gets the first output. Prints the milliseconds a
// picture of the best of RUNS runs.
const fs = require('fs');
const [modules, model, batch, height, width, input, out, runs] = process.argv.slice(2);
const ort = require(modules + '/onnxruntime-node');
(async () => {
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential',
  });
  const bytes = fs.readFileSync(input);
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const shape = [+batch, 3, +height, +width];
  const feed = { [session.inputNames[0]]: new ort.Tensor('float32', floats, shape) };
  let best = Infinity, result;
  for (let i = 0; i < +runs; i++) {
    const begin = process.hrtime.bigint();
    result = await session.run(feed);
    best = Math.min(best, Number(process.hrtime.bigint() - begin) / 1e6);
  }
  const data = result[session.outputNames[0]].data;
  fs.writeFileSync(out, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  console.log((best / +batch).toFixed(3));
})();
