// The page that shows an application's OpenAPI and AsyncAPI. It makes elements, never markup: what
// descriptions say is text.

const main = document.getElementById("main");

function make(tag, attributes, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...inside.flat().filter((one) => one !== undefined && one !== ""));
  return element;
}

const words = (text) => (text ? make("p", { class: "text" }, text) : "");

// Types

const BOUNDS = {
  minimum: "at least", exclusiveMinimum: "more than", maximum: "at most",
  exclusiveMaximum: "less than", multipleOf: "a multiple of", minLength: "length at least",
  maxLength: "length at most", minItems: "items at least", maxItems: "items at most",
  pattern: "like", default: "default",
};

/** The name of a type, with links to the types that have one. */
function type(schema, place) {
  if (typeof schema !== "object") return ["anything"];
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return [make("a", { href: `#${place}-${name}` }, name)];
  }
  if (alternatives) return alternatives.flatMap((one, at) => (at ? [" or "] : []).concat(type(one, place)));
  if (schema.allOf?.length === 1 && !schema.properties) return type(schema.allOf[0], place);
  if ("const" in schema) return [JSON.stringify(schema.const)];
  if (schema.enum) return [schema.enum.map((one) => JSON.stringify(one)).join(" or ")];
  if (schema.type === "array") {
    const items = schema.prefixItems ?? schema.items;
    if (Array.isArray(items)) {
      return ["[", ...items.flatMap((one, at) => (at ? [", "] : []).concat(type(one, place))), "]"];
    }
    return ["list of ", ...type(items ?? {}, place)];
  }
  if (schema.type === "object" && typeof schema.additionalProperties === "object") {
    return ["object of ", ...type(schema.additionalProperties, place)];
  }
  const named = [schema.type ?? (schema.title || "anything")].flat().join(" or ");
  return [schema.format ?? schema.contentEncoding ? `${named} (${schema.format ?? schema.contentEncoding})` : named];
}

function bounds(schema) {
  const said = Object.entries(BOUNDS).filter(([key]) => key in schema);
  return said.map(([key, text]) => `, ${text} ${typeof schema[key] === "string" ? schema[key] : JSON.stringify(schema[key])}`).join("");
}

function field(name, schema, required, place, where, said = schema.description) {
  return make("li", {}, make("code", {}, name), " ", ...type(schema, place), bounds(schema),
    where ? `, ${where}` : "", required ? "" : make("span", { class: "quiet" }, ", optional"),
    said ? `: ${said}` : "");
}

/** A type with its fields, if it has some. */
function whole(schema, place) {
  if (!schema.properties) return make("p", {}, ...type(schema, place), bounds(schema));
  const fields = Object.entries(schema.properties).map(([name, one]) =>
    field(name, one, schema.required?.includes(name), place));
  return make("ul", {}, fields);
}

function types(document, place, title) {
  const found = Object.entries(document.components?.schemas ?? {});
  return [make("h2", {}, title), ...found.map(([name, schema]) =>
    make("details", { id: `${place}-${name}` }, make("summary", {}, make("code", {}, name)),
      make("div", { class: "inside" }, words(schema.description), whole(schema, place))))];
}

// Routes

function operation(path, method, one) {
  const path_ = one.deprecated ? make("del", {}, path) : path;
  const inside = make("div", { class: "inside" }, words(one.description));
  if (one.parameters) {
    inside.append(make("h3", {}, "Parameters"), make("ul", {}, one.parameters.map((each) =>
      field(each.name, each.schema, each.required, "routes", `in the ${each.in}`, each.description))));
  }
  for (const [media, { schema }] of Object.entries(one.requestBody?.content ?? {})) {
    inside.append(make("h3", {}, `Body: ${media}`), whole(schema ?? {}, "routes"));
  }
  inside.append(make("h3", {}, "Responses"), make("ul", {}, Object.entries(one.responses).map(answer)));
  if (method === "get" || JSON.stringify(one.requestBody ?? {}).includes("application/json") || !one.requestBody) {
    inside.append(trying(path, method, one));
  }
  return make("details", { id: one.operationId },
    make("summary", {}, make("b", { class: method }, method.toUpperCase()), " ",
      make("span", { class: "path" }, path_), " ", make("span", { class: "quiet" }, one.summary ?? "")),
    inside);
}

function answer([status, one]) {
  if (one.$ref) return make("li", {}, make("code", {}, status === "default" ? "other" : status), " an error");
  const bodies = Object.entries(one.content ?? {}).map(([media, { schema }]) =>
    [`, ${media} `, ...(schema ? type(schema, "routes") : [])]);
  return make("li", {}, make("code", {}, status), ` ${one.description}`, ...bodies.flat());
}

function input(name, title, value, required) {
  return make("label", {}, title, make("input", { name, value, required }));
}

/** A form that sends a request, and shows the response. */
function trying(path, method, one) {
  const parameters = (one.parameters ?? []).filter((each) => each.in !== "cookie");
  const fields = parameters.map((each, at) =>
    input(`p${at}`, `${each.name} (${each.in})`, undefined, each.required));
  if (one.security) fields.push(input("authorization", "Authorization", undefined, false));
  if (one.requestBody) fields.push(make("label", {}, "Body", make("textarea", { name: "body" }, "{}")));
  const output = make("pre", { role: "status", tabindex: "0", "aria-label": "Response", hidden: "" });
  const form = make("form", {}, fields, make("button", {}, "Send"), output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = new FormData(form);
    output.hidden = false;
    output.textContent = await send(path, method, one, parameters, said).catch(String);
  });
  return form;
}

async function send(path, method, one, parameters, said) {
  const query = new URLSearchParams();
  const headers = new Headers();
  parameters.forEach((each, at) => {
    const value = said.get(`p${at}`);
    if (each.in === "path") {
      path = path.replace(`{${each.name}}`, value.split("/").map(encodeURIComponent).join("/"));
    } else if (value !== "") {
      const values = each.schema.type === "array" ? value.split(",") : [value];
      for (const part of values) each.in === "query" ? query.append(each.name, part) : headers.append(each.name, part);
    }
  });
  if (said.get("authorization")) headers.set("authorization", said.get("authorization"));
  const body = one.requestBody && method !== "get" ? said.get("body") : undefined;
  if (body !== undefined) headers.set("content-type", "application/json");
  const response = await fetch(`${path}${query.size ? `?${query}` : ""}`, { method: method.toUpperCase(), headers, body, redirect: "manual" });
  const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`);
  return `${response.status} ${response.statusText}\n${lines.join("\n")}\n\n${await response.text()}`;
}

function routes(document) {
  const groups = new Map([["Routes", []]]);
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, one] of Object.entries(item)) {
      const tag = one.tags?.[0] ?? "Routes";
      groups.set(tag, (groups.get(tag) ?? []).concat(operation(path, method, one)));
    }
  }
  const shown = [...groups].filter(([, all]) => all.length);
  return [...shown.flatMap(([tag, all]) => [make("h2", {}, tag), ...all]), ...types(document, "routes", "Types of routes")];
}

// Sockets

function message(document, { $ref }) {
  return $ref.split("/").slice(1).reduce((inside, key) => inside[key], document);
}

function data(title, one) {
  return [make("h4", {}, title), words(one.summary), whole(one.payload.properties.data ?? {}, "sockets")];
}

function socketOperation(document, id, one) {
  const taken = one.action === "receive";
  const inside = make("div", { class: "inside" }, words(one.description),
    one.messages.flatMap((each) => data("Data", message(document, each))),
    (one.reply?.messages ?? []).flatMap((each) => data("Answer", message(document, each))));
  return make("details", { id },
    make("summary", {}, make("b", { class: one.action }, taken ? "SEND" : "RECEIVE"), " ",
      make("span", { class: "path" }, one.title), " ", make("span", { class: "quiet" }, one.summary ?? "")),
    inside);
}

function sockets(document) {
  const channels = Object.entries(document.channels);
  if (!channels.length) return [];
  const shown = channels.flatMap(([key, channel]) => {
    const own = Object.entries(document.operations).filter(([, one]) => one.channel.$ref === `#/channels/${key}`);
    return [make("h3", {}, make("code", {}, channel.address ?? key)), words(channel.description),
      ...own.map(([id, one]) => socketOperation(document, id, one))];
  });
  return [make("h2", {}, "Sockets"), ...shown, ...types(document, "sockets", "Types of sockets")];
}

// The page

/** Open what the address points at. */
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

async function load(name, show) {
  const url = document.querySelector(`meta[name=finch-${name.toLowerCase()}]`).content;
  if (!url) return [];
  document.getElementById("links").append(make("a", { href: url }, name));
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answers with ${response.status}`);
  const described = await response.json();
  document.getElementById("about").textContent =
    `Version ${described.info.version}. ${described.info.description ?? ""}`;
  return show(described);
}

try {
  const shown = [await load("OpenAPI", routes), await load("AsyncAPI", sockets)].flat();
  main.replaceChildren(...(shown.length ? shown : [make("p", {}, "Nothing is described.")]));
} catch (error) {
  main.replaceChildren(make("p", { role: "alert" }, String(error)));
}
main.removeAttribute("aria-busy");
addEventListener("hashchange", openTarget);
openTarget();
