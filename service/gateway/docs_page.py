"""`/docs`: one page that renders `/openapi.json` without anything from another host."""

from __future__ import annotations

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>rankguard API</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre, textarea { font: 14px/1.45 ui-monospace, monospace; }
details { border: 1px solid #8886; border-radius: 6px; margin: .5rem 0; padding: .5rem .8rem; }
summary { cursor: pointer; }
.method { display: inline-block; min-width: 3.5rem; font-weight: 700; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0;
  border-bottom: 1px solid #8884; }
textarea { width: 100%; min-height: 9rem; box-sizing: border-box; }
pre { overflow: auto; max-height: 24rem; padding: .6rem; background: #8882; border-radius: 6px; }
input, button { font: inherit; padding: .2rem .6rem; }
</style>
</head>
<body>
<h1>rankguard API</h1>
<p id="about"></p>
<p><label>API key, if this server wants one:
<input id="key" type="password" autocomplete="off" spellcheck="false"></label>
&nbsp; <a href="/openapi.json">openapi.json</a></p>
<main id="paths"><p>Loading …</p></main>
<script>
"use strict";
function make(tag, text, parent) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}
function follow(api, schema) {
  while (schema && schema.$ref) {
    schema = schema.$ref.slice(2).split("/").reduce((at, part) => at[part], api);
  }
  return schema || {};
}
function typeName(api, schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  const several = schema.anyOf || schema.oneOf;
  if (several) {
    return several.map(one => typeName(api, one)).filter(one => one !== "null").join(" or ");
  }
  if (schema.type === "array") return "list of " + typeName(api, schema.items || {});
  return schema.type || "any";
}
function fieldTable(api, schema, parent) {
  schema = follow(api, schema);
  for (const one of schema.anyOf || schema.oneOf || []) fieldTable(api, one, parent);
  if (!schema.properties) return;
  make("h4", schema.title || "", parent);
  const table = make("table", "", parent);
  const required = new Set(schema.required || []);
  for (const [name, field] of Object.entries(schema.properties)) {
    const row = make("tr", "", table);
    make("code", name, make("td", "", row));
    make("td", typeName(api, field) + (required.has(name) ? ", required" : ""), row);
    make("td", field.description || "", row);
  }
}
function tryIt(path, method, example, parent) {
  const body = example === undefined ? null : make("textarea", "", parent);
  if (body) body.value = JSON.stringify(example, null, 2);
  const send = make("button", "Send", parent);
  const out = make("pre", "", parent);
  out.hidden = true;
  send.onclick = async () => {
    const headers = {};
    const key = document.getElementById("key").value;
    if (key) headers.Authorization = "Bearer " + key;
    if (body) headers["Content-Type"] = "application/json";
    out.hidden = false;
    out.textContent = "…";
    try {
      const answer = await fetch(path, {method, headers, body: body ? body.value : undefined});
      let text = await answer.text();
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch (error) { /* not JSON */ }
      out.textContent = answer.status + " " + answer.statusText + "\\n" + text;
    } catch (error) {
      out.textContent = String(error);
    }
  };
}
function exampleOf(api, schema) {
  schema = follow(api, schema);
  if (schema.examples) return schema.examples[0];
  for (const one of schema.anyOf || schema.oneOf || []) {
    const found = exampleOf(api, one);
    if (found !== undefined) return found;
  }
  return undefined;
}
async function show() {
  const api = await (await fetch("/openapi.json")).json();
  document.getElementById("about").textContent = api.info.description || "";
  const main = document.getElementById("paths");
  main.replaceChildren();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const box = make("details", "", main);
      const title = make("summary", "", box);
      make("span", method.toUpperCase(), title).className = "method";
      make("code", path, title);
      make("span", "  " + (operation.summary || ""), title);
      make("p", operation.description || "", box);
      const content = operation.requestBody && operation.requestBody.content["application/json"];
      if (content) {
        make("h3", "Request", box);
        fieldTable(api, content.schema, box);
      }
      make("h3", "Answers", box);
      for (const [status, answer] of Object.entries(operation.responses)) {
        make("p", status + " — " + (answer.description || ""), box);
        const json = answer.content && answer.content["application/json"];
        if (json && status === "200") fieldTable(api, json.schema, box);
      }
      make("h3", "Try it", box);
      const example = content ? exampleOf(api, content.schema) || {} : undefined;
      tryIt(path, method.toUpperCase(), example, box);
    }
  }
}
show().catch(error => { document.getElementById("paths").textContent = String(error); });
</script>
</body>
</html>
"""
