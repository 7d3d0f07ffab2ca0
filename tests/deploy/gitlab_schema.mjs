// Checks a GitLab CI file against GitLab's JSON schema. usage: node gitlab_schema.mjs FOLDER-OF-NODE_MODULES FILE
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const root = path.resolve(process.argv[2]);
const need = createRequire(path.join(root, 'x.js'));
const Ajv = need('ajv').default;
const { schema } = await import(pathToFileURL(path.join(root, 'node_modules/gitlab-ci-local/src/schema/schema.js')));
const check = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schema);
if (!check(need('js-yaml').load(readFileSync(process.argv[3], 'utf8')))) {
  for (const e of check.errors) console.log(e.instancePath, e.message, JSON.stringify(e.params));
  process.exit(1);
}
