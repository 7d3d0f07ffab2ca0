/* Draws /openapi.json: the operations by their tags, with their parameters, bodies and replies, and a
 * form to try each. Whatever is shown is put in as text, never as HTML. */
"use strict";

let api;

function make(tag, attributes = {}, ...inside) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  node.append(...inside.filter((child) => child !== undefined && child !== null));
  return node;
}

function resolve(node) {
  while (node && node.$ref)
    node = node.$ref.slice(2).split("/").reduce((at, part) => at[part.replaceAll("~1", "/")], api);
  return node || {};
}

/* -- schemas ------------------------------------------------------------------------------------- */

function limits(schema) {
  const words = [];
  const between = (low, high, unit) => {
    if (schema[low] !== undefined && schema[high] !== undefined) words.push(`${schema[low]} to ${schema[high]}${unit}`);
    else if (schema[low] !== undefined) words.push(`at least ${schema[low]}${unit}`);
    else if (schema[high] !== undefined) words.push(`at most ${schema[high]}${unit}`);
  };
  between("minimum", "maximum", "");
  between("minLength", "maxLength", " characters");
  between("minItems", "maxItems", " items");
  if (schema.pattern) words.push(schema.pattern);
  if (schema.default !== undefined) words.push(`default ${JSON.stringify(schema.default)}`);
  return words;
}

function kind(schema) {
  const type = [].concat(schema.type || []).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.oneOf) return "one of";
  if (schema.type === "array") return "array of " + kind(resolve(schema.items));
  return type || "any";
}

function line(name, schema, required) {
  const text = [kind(schema), ...limits(schema)].join(", ");
  return [name ? make("code", required ? { class: "required" } : {}, name) : null, " ",
    make("span", { class: "dim" }, text, schema.description ? ". " + schema.description : "")];
}

/* Members unfold on demand, so a schema that refers to itself has no end but no harm either. */
function describe(name, node, required) {
  const schema = resolve(node);
  const of = schema.type === "array" ? resolve(schema.items) : schema;
  const inside = [
    ...Object.entries(of.properties || {}).map(([n, s]) => [n, s, (of.required || []).includes(n)]),
    ...(of.oneOf || []).map((s) => ["", s, false]),
    ...(typeof of.additionalProperties === "object" ? [["…", of.additionalProperties, false]] : []),
  ];
  if (!inside.length) return make("li", {}, ...line(name, schema, required));
  const list = make("ul", { class: "schema" });
  const details = make("details", {}, make("summary", {}, ...line(name, schema, required)), list);
  details.addEventListener("toggle", () => {
    if (!list.childElementCount) list.append(...inside.map(([n, s, r]) => describe(n, s, r)));
  });
  return make("li", {}, details);
}

function example(node, depth = 0) {
  const schema = resolve(node);
  if (schema.examples) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.oneOf) return example(schema.oneOf[0], depth);
  switch ([].concat(schema.type)[0]) {
    case "object": {
      const value = {};
      if (depth < 4)
        for (const name of schema.required || []) value[name] = example(schema.properties[name], depth + 1);
      return value;
    }
    case "array": return depth < 4 && schema.items ? [example(schema.items, depth + 1)] : [];
    case "integer": case "number": return schema.minimum ?? 1;
    case "boolean": return false;
    case "string": return "";
    default: return null;
  }
}

/* -- trying -------------------------------------------------------------------------------------- */

function field(parameter) {
  const schema = resolve(parameter.schema);
  if (!schema.enum)
    return make("input", { placeholder: schema.examples ? schema.examples[0] : "", "aria-label": parameter.name });
  return make("select", { "aria-label": parameter.name }, make("option", {}, ""),
    ...schema.enum.map((value) => make("option", {}, value)));
}

function address(path, inputs) {
  const query = new URLSearchParams();
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query" && input.value) query.append(parameter.name, input.value);
  }
  return query.size ? `${path}?${query}` : path;
}

function quote(text) { return "'" + text.replaceAll("'", "'\\''") + "'"; }

async function show(reply, into) {
  const type = reply.headers.get("Content-Type") || "";
  const head = make("p", { class: reply.ok ? "good" : "bad" }, `${reply.status} ${reply.statusText} ${type}`);
  const told = ["Location", "Retry-After", "X-Kennel-Version"].filter((name) => reply.headers.has(name));
  into.replaceChildren(head, ...told.map((name) => make("p", { class: "dim" }, `${name}: ${reply.headers.get(name)}`)));
  if (type.startsWith("text/event-stream")) {
    const pre = into.appendChild(make("pre"));
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part; !(part = await reader.read()).done;) pre.append(part.value);
  } else if (type.includes("json")) {
    const text = await reply.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* as it came */ }
    into.append(make("pre", {}, shown));
  } else if (type.startsWith("text/")) {
    into.append(make("pre", {}, await reply.text()));
  } else {
    const blob = await reply.blob();
    const url = URL.createObjectURL(blob);
    into.append(make("p", {}, make("a", { href: url, download: "reply" }, `${blob.size} bytes`)));
  }
}

function trial(method, path, operation, inputs, body) {
  const result = make("div", { "aria-live": "polite" });
  const send = async () => {
    const headers = {}, key = document.getElementById("key").value;
    if (key) headers.Authorization = `Bearer ${key}`;
    for (const [parameter, input] of inputs)
      if (parameter.in === "header" && input.value) headers[parameter.name] = input.value;
    const url = address(path, inputs), options = { method, headers };
    let curl = `curl -X ${method} ${quote(location.origin + url)}` + (key ? ' -H "Authorization: Bearer $KENNEL_KEY"' : "");
    for (const [name, value] of Object.entries(headers))
      if (name !== "Authorization") curl += ` -H ${quote(`${name}: ${value}`)}`;
    if (body) {
      const type = body.type.value, file = body.file.files[0];
      headers["Content-Type"] = type;
      options.body = file || body.text.value;
      curl += ` -H ${quote(`Content-Type: ${type}`)} ` +
        (file ? `--data-binary @${quote(file.name)}` : `-d ${quote(body.text.value)}`);
      if (!file && !body.text.value) delete options.body;
    }
    result.replaceChildren(make("p", { class: "dim" }, "asking …"));
    try { await show(await fetch(url, options), result); }
    catch (error) { result.replaceChildren(make("p", { class: "bad" }, String(error))); }
    result.append(make("pre", {}, curl));
  };
  return make("div", {}, make("p", {}, make("button", { type: "button", onclick: send }, "Send")), result);
}

function bodyForm(content) {
  const types = Object.keys(content), json = content["application/json"];
  const text = make("textarea", { "aria-label": "body", spellcheck: "false" });
  if (json) text.value = JSON.stringify(example(json.schema), null, 2);
  const type = make("select", { "aria-label": "content type" }, ...types.map((name) => make("option", {}, name)));
  const file = make("input", { type: "file", "aria-label": "file" });
  const choose = () => { text.hidden = !type.value.includes("json"); };
  type.addEventListener("change", choose);
  if (json) type.value = "application/json";
  choose();
  return { text, type, file };
}

/* -- operations ---------------------------------------------------------------------------------- */

function fill(inside, method, path, operation) {
  const parameters = (operation.parameters || []).map(resolve);
  const inputs = parameters.map((parameter) => [parameter, field(parameter)]);
  inside.append(...[
    operation.description ? make("p", {}, operation.description) : null,
    make("p", { class: "dim" }, "role ", make("code", {}, operation["x-kennel-role"] || "public"), ", command ",
      make("code", {}, "kennel " + (operation["x-kennel-command"] || ""))),
  ].filter(Boolean));
  if (inputs.length)
    inside.append(make("h3", {}, "Parameters"), make("table", {}, ...inputs.map(([p, input]) => make("tr", {},
      make("td", {}, make("code", p.required ? { class: "required" } : {}, p.name), " ",
        make("span", { class: "dim" }, p.in)),
      make("td", {}, input),
      make("td", { class: "dim" }, [kind(resolve(p.schema)), ...limits(resolve(p.schema))].join(", "),
        p.description ? ". " + p.description : "")))));
  let body = null;
  if (operation.requestBody) {
    const content = operation.requestBody.content;
    body = bodyForm(content);
    inside.append(make("h3", {}, operation.requestBody.required ? "Body" : "Body, optional"),
      make("p", {}, body.type, " ", body.file), body.text);
    for (const [type, one] of Object.entries(content))
      if (one.schema && type.includes("json"))
        inside.append(make("ul", { class: "schema" }, describe(type, one.schema, false)));
  }
  inside.append(trial(method.toUpperCase(), path, operation, inputs, body), make("h3", {}, "Replies"));
  for (const [status, node] of Object.entries(operation.responses)) {
    const reply = resolve(node), list = make("ul", { class: "schema" });
    for (const [name, one] of Object.entries(reply.headers || {}))
      if (name !== "X-Request-Id") list.append(describe(name, { type: "header", description: resolve(one).description }, false));
    for (const [type, one] of Object.entries(reply.content || {})) list.append(describe(type, one.schema || {}, false));
    inside.append(make("p", {}, make("code", {}, status), " ", reply.description || ""), list);
  }
}

function draw(method, path, operation) {
  const inside = make("div", { class: "inside" });
  const details = make("details", { class: "operation", id: operation.operationId },
    make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("span", { class: "path" }, path), make("span", { class: "summary" }, operation.summary || "")), inside);
  details.addEventListener("toggle", () => {
    if (details.open && !inside.childElementCount) fill(inside, method, path, operation);
  });
  details.words = [method, path, operation.summary, operation["x-kennel-command"]].join(" ").toLowerCase();
  return details;
}

function group(tag) {
  const section = make("section", { id: "tag-" + tag.name },
    make("h2", {}, tag.name, " ", make("small", {}, tag.description || "")));
  for (const [path, operations] of Object.entries(api.paths))
    for (const [method, operation] of Object.entries(operations))
      if ((operation.tags || []).includes(tag.name)) section.append(draw(method, path, operation));
  return section;
}

function find() {
  const words = document.getElementById("find").value.toLowerCase().split(/\s+/);
  for (const section of document.querySelectorAll("section")) {
    let any = false;
    for (const details of section.querySelectorAll("details.operation")) {
      details.hidden = !words.every((word) => details.words.includes(word));
      any = any || !details.hidden;
    }
    section.hidden = !any;
  }
}

/* A link to an operation, as /docs#get__jobs, opens it. */
function open() {
  const details = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (details && details.tagName === "DETAILS") details.open = true;
  if (details) details.scrollIntoView();
}

async function start() {
  const about = document.getElementById("about");
  try {
    const reply = await fetch("/openapi.json");
    if (!reply.ok) throw new Error(`/openapi.json: ${reply.status}`);
    api = await reply.json();
  } catch (error) {
    about.replaceChildren(String(error));
    return;
  }
  about.replaceChildren(`${api.info.summary}. Version ${api.info.version}; `,
    make("a", { href: "/openapi.json" }, "OpenAPI " + api.openapi), ", ",
    make("a", { href: "/swagger.json" }, "Swagger 2.0 of scoring"));
  document.getElementById("tags").append(...api.tags.map((tag) => make("a", { href: "#tag-" + tag.name }, tag.name)));
  document.getElementById("operations").replaceChildren(...api.tags.map(group));
  document.getElementById("find").addEventListener("input", find);
  document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", open);
  open();
}

start();
