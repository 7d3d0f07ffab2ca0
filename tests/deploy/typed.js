// Checks manifests against the types of kubernetes-models: an unknown field, a missing one or a wrong type is an error.
// Each document becomes a typed literal, for which TypeScript refuses fields that the type has not.
// usage: node typed.js FOLDER-OF-NODE_MODULES FILE...
const { createRequire } = require('module');
const fs = require('fs');
const path = require('path');
const [root, ...files] = process.argv.slice(2);
const need = createRequire(path.join(path.resolve(root), 'x.js'));
const ts = need('typescript');
const yaml = need('js-yaml');
const homes = { 'monitoring.coreos.com': '@kubernetes-models/prometheus-operator/', 'argoproj.io': '@kubernetes-models/argo-workflows/' };

const lines = [];
const named = [];
for (const file of files) {
  for (const document of yaml.loadAll(fs.readFileSync(file, 'utf8')).filter(Boolean)) {
    const [version, group = ''] = document.apiVersion.split('/').reverse();
    const from = (homes[group] || 'kubernetes-models/') + (group ? group + '/' : '') + version + '/' + document.kind;
    named.push(`${file}: ${document.kind} ${document.metadata.name}`);
    lines.push(`export const d${named.length}: import(${JSON.stringify(from)}).I${document.kind} = ${JSON.stringify(document)};`);
  }
}
if (!named.length) throw new Error('no documents');
const source = path.join(path.resolve(root), 'typed-check.ts');
const options = { noEmit: true, strict: true, skipLibCheck: true, moduleResolution: ts.ModuleResolutionKind.NodeJs,
  module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2020, types: [] };
const host = ts.createCompilerHost(options);
const read = host.getSourceFile.bind(host);
host.getSourceFile = (name, ...rest) =>
  name === source ? ts.createSourceFile(name, lines.join('\n'), options.target) : read(name, ...rest);
const wrong = ts.getPreEmitDiagnostics(ts.createProgram([source], options, host));
for (const d of wrong) {
  const where = d.file === undefined || d.file.fileName !== source ? '' : named[d.file.getLineAndCharacterOfPosition(d.start).line] + ': ';
  console.log(where + ts.flattenDiagnosticMessageText(d.messageText, '\n  '));
}
console.log(`${named.length} documents, ${wrong.length} mistakes`);
process.exit(wrong.length ? 1 : 0);
