"use strict";
// Everything that a model wrote reaches the page through textContent, never as markup.
const $ = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
};

// ---- light and dark: the system's choice until the reader makes one -----------------------------------
const dark = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;
try { chosen = localStorage.getItem("xftbench-theme"); } catch { /* a page from disk may have no storage */ }
const applyTheme = () => { if (chosen) document.documentElement.dataset.theme = chosen; };
applyTheme();
$("theme").addEventListener("click", () => {
  chosen = (chosen || (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
  try { localStorage.setItem("xftbench-theme", chosen); } catch { /* as above */ }
  applyTheme();
});

// ---- data ----------------------------------------------------------------------------------------------
const unpack = async (id) => {
  const bytes = Uint8Array.from(atob($(id).textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};
const chunks = new Map();
const chunk = (number) => {
  if (!chunks.has(number)) chunks.set(number, unpack(`chunk-${number}`));
  return chunks.get(number);
};
let index = null;
const textsOf = async (position) => (await chunk(Math.floor(position / index.perChunk)))[position % index.perChunk];

// ---- outcome of a problem for a pair of models -----------------------------------------------------------
const OUTCOMES = [
  ["gained", "gained"], ["lost", "lost"], ["passed", "passed by both"], ["failed", "failed by both"],
  ["changed", "equal, partly passed"], ["unknown", "not comparable"],
];
const outcome = (a, b) => {
  if (!a || !b || !a[0] || !b[0]) return "unknown";
  const rateA = a[1] / a[0], rateB = b[1] / b[0];
  if (rateB > rateA) return "gained";
  if (rateB < rateA) return "lost";
  return rateA === 1 ? "passed" : rateA === 0 ? "failed" : "changed";
};
const pairOf = (problem) => {
  const models = index.tables[problem.t].models;
  return [models.indexOf($("f-a").value), models.indexOf($("f-b").value)];
};
const resultsOf = (problem) => pairOf(problem).map((at) => (at < 0 ? null : problem.r[at]));
// A model that stands in a table with another one: only then is there something to compare.
const beside = (name, models) => {
  const others = models.map(([other]) => other).filter((other) => other !== name);
  return others.find((other) => index.tables.some((table) => table.models.includes(name) && table.models.includes(other)))
    || others[0] || name;
};

// ---- filters -------------------------------------------------------------------------------------------
const options = (select, values, first) => {
  const before = select.value;
  select.replaceChildren(...(first ? [make("option", { value: "", text: first })] : []),
    ...values.map(([value, text]) => make("option", { value, text })));
  if ([...select.options].some((option) => option.value === before)) select.value = before;
};
const unique = (values) => [...new Set(values)].sort().map((value) => [value, value]);
let wantedOutcome = "", found = [], shown = 0, searched = null, round = 0;
const PAGE = 100;

const inTable = (problem) => $("f-table").value === "" || String(problem.t) === $("f-table").value;
const fillDependent = () => {
  const problems = index.problems.filter(inTable);
  const models = [...new Set(index.tables.filter((_, t) => $("f-table").value === "" || String(t) === $("f-table").value)
    .flatMap((table) => table.models))].map((name) => [name, name]);
  const [a, b] = [$("f-a").value, $("f-b").value];
  options($("f-a"), models); options($("f-b"), models);
  if (!a && models.some(([name]) => name === document.body.dataset.baseline)) $("f-a").value = document.body.dataset.baseline;
  if (!b || $("f-a").value === $("f-b").value) $("f-b").value = beside($("f-a").value, models);
  options($("f-lang"), unique(problems.map((problem) => problem.lang).filter(Boolean)), "all");
  options($("f-tag"), unique(problems.flatMap((problem) => Object.entries(problem.tags)
    .filter(([name]) => name !== "language").map(([name, value]) => `${name}: ${value}`))), "all");
  options($("f-error"), unique(problems.flatMap((problem) => problem.r.map((result) => result && result[2])).filter(Boolean)), "any");
};

const passes = (problem, position) => {
  if (!inTable(problem)) return false;
  if ($("f-lang").value && problem.lang !== $("f-lang").value) return false;
  if ($("f-tag").value) {
    const [name, ...rest] = $("f-tag").value.split(": ");
    if (problem.tags[name] !== rest.join(": ")) return false;
  }
  if ($("f-error").value && !resultsOf(problem).some((result) => result && result[2] === $("f-error").value)) return false;
  return searched === null || searched.has(position);
};

const search = async (text, mine) => {
  const wanted = text.toLowerCase(), hits = new Set();
  for (let position = 0; position < index.problems.length; position++) {
    if (position % index.perChunk === 0) {
      await chunk(position / index.perChunk);
      if (mine !== round) return null;
    }
    const problem = index.problems[position];
    if (problem.id.toLowerCase().includes(wanted)) { hits.add(position); continue; }
    const texts = await textsOf(position);
    if (texts.p.toLowerCase().includes(wanted) || texts.s.some((code) => code.toLowerCase().includes(wanted))) hits.add(position);
  }
  return hits;
};

const refresh = async () => {
  const mine = ++round, text = $("f-text").value.trim();
  if (text) {
    $("status").textContent = "searching …";
    const hits = await search(text, mine);
    if (mine !== round) return;
    searched = hits;
  } else searched = null;
  const matching = index.problems.map((problem, position) => [problem, position]).filter(([problem, position]) => passes(problem, position));
  const counts = {};
  for (const entry of matching) {
    entry.push(outcome(...resultsOf(entry[0])));
    counts[entry[2]] = (counts[entry[2]] || 0) + 1;
  }
  $("tally").replaceChildren(...[["", "all"], ...OUTCOMES].filter(([name]) => name === "" || counts[name]).map(([name, label]) => make("button", {
    type: "button", "aria-pressed": String(name === wantedOutcome), "data-outcome": name,
    text: `${label} ${name === "" ? matching.length : counts[name]}`,
    onclick: () => { wantedOutcome = name; refresh(); },
  })));
  found = wantedOutcome ? matching.filter((entry) => entry[2] === wantedOutcome) : matching;
  shown = 0;
  $("problems").replaceChildren();
  $("status").textContent = `${found.length} of ${index.problems.length} problems: ${$("f-a").value} → ${$("f-b").value}`;
  showMore();
};
const showMore = () => {
  $("problems").append(...found.slice(shown, shown + PAGE).map((entry) => row(...entry)));
  shown = Math.min(shown + PAGE, found.length);
  $("more").hidden = shown >= found.length;
  $("more").textContent = `Show ${Math.min(PAGE, found.length - shown)} more of ${found.length - shown}`;
};

// ---- a problem -------------------------------------------------------------------------------------------
const LABELS = Object.fromEntries(OUTCOMES);
const brief = (result) => {
  if (!result) return "not in this table";
  if (!result[0]) return "no verdict";
  const [n, passed, wrong] = result;
  if (n === 1) return passed ? "passed" : wrong.replaceAll("_", " ");
  return `${passed} of ${n} passed${wrong ? `, ${wrong.replaceAll("_", " ")}` : ""}`;
};
const row = (problem, position, kind) => {
  const [a, b] = resultsOf(problem);
  const tags = Object.entries(problem.tags).filter(([name]) => name !== "language").map(([, value]) => value).join(", ");
  const button = make("button", { type: "button", class: "row", "aria-expanded": "false" },
    make("span", {}, make("span", { class: `tag ${kind}`, text: LABELS[kind] })),
    make("span", { class: "id", text: problem.id }),
    make("span", { class: "small muted hide", text: [problem.lang, tags, index.tables[problem.t].apart].filter(Boolean).join(" · ") }),
    make("span", { class: "small hide", text: `${$("f-a").value}: ${brief(a)}` }),
    make("span", { class: "small hide", text: `${$("f-b").value}: ${brief(b)}` }),
    make("span", { class: "arrow", "aria-hidden": "true", text: "▸" }));
  const item = make("li", {}, button);
  button.addEventListener("click", async () => {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) { item.lastChild.remove(); return; }
    const texts = await textsOf(position);
    if (button.getAttribute("aria-expanded") === "true") item.append(detail(problem, texts));
  });
  return item;
};

const detail = (problem, texts) => {
  const pair = pairOf(problem), models = index.tables[problem.t].models;
  const samples = pair.map((at) => (at < 0 ? [] : texts.m[at]));
  // The first look is at what differs: a failing sample of the worse one, a passing one of the better.
  const kind = outcome(...resultsOf(problem));
  const wantPassed = { gained: [false, true], lost: [true, false], passed: [true, true] }[kind] || [false, false];
  const chosen = samples.map((list, side) => Math.max(0, list.findIndex((sample) => (sample.v === "passed") === wantPassed[side])));
  const sides = make("div", { class: "sides" });
  const draw = () => {
    const codes = samples.map((list, side) => (list.length ? texts.s[list[chosen[side]].c] : ""));
    const marks = lineDiff(codes[0].split("\n"), codes[1].split("\n"));
    sides.replaceChildren(...[0, 1].map((side) => sideView(
      pair[side] < 0 ? [$("f-a"), $("f-b")][side].value : models[pair[side]], samples[side], chosen[side], codes[side], marks[side],
      (value) => { chosen[side] = value; draw(); })));
  };
  draw();
  return make("div", { class: "open" },
    texts.p ? make("details", {}, make("summary", { text: "The problem" }), make("pre", { class: "code plain", text: texts.p })) : null, sides);
};

const sideView = (name, samples, chosen, code, marks, choose) => {
  const head = make("h4", {}, make("span", { text: name }));
  if (!samples.length) return make("div", { class: "side" }, head, make("p", { class: "muted small", text: "has no sample of this problem" }));
  const sample = samples[chosen];
  head.append(make("span", { class: `tag ${sample.v === "passed" ? "passed" : "failed"}`, text: sample.v.replaceAll("_", " ") }));
  if (samples.length > 1) head.append(make("select", { "aria-label": `sample of ${name}`, onchange: (event) => choose(Number(event.target.value)) },
    ...samples.map((one, at) => make("option", { value: at, selected: at === chosen ? "" : null,
      text: `sample ${one.i}${one.x > 1 ? ` (×${one.x})` : ""}: ${one.v.replaceAll("_", " ")}` }))));
  const facts = make("dl", { class: "facts" });
  const fact = (label, value, mono = false) => {
    if (value !== undefined && value !== null && value !== "") facts.append(make("dt", { text: label }), make("dd", { text: value, class: mono ? "mono" : null }));
  };
  if (sample.f) { fact("failing input", sample.f[0], true); fact("expected", sample.f[1], true); fact("actual", sample.f[2], true); }
  fact("detail", sample.d, true);
  fact("checks", sample.checks && Object.entries(sample.checks).map(([check, verdict]) => `${check}: ${verdict.replaceAll("_", " ")}`).join(", "));
  fact("extraction", sample.r);
  fact("tokens", sample.t && `${sample.t}${sample.w === "length" ? " (cut at the limit)" : ""}`);
  fact("CPU", sample.cpu !== undefined && `${sample.cpu} s`);
  fact("stderr", sample.e, true);
  return make("div", { class: "side" }, head, codeView(code, marks), facts);
};

// ---- code: lines that only one side has are marked; a few words are coloured -----------------------------
const WORDS = new Set(("and as assert async await break case catch char class const continue def defer do double elif else end enum except export extends "
  + "final finally float fn for foreach from func function global if impl import in int interface is lambda let local long loop match mod mut namespace new "
  + "not null None nil or package pass private protected pub public raise return self static std string struct sub switch template then this throw throws "
  + "trait True true False false try typedef use using val var void while with yield").split(" "));
const TOKEN = /("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`(?:\\.|[^`\\])*`?)|(\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(\b\d[\w.]*)|([A-Za-z_]\w*)/g;
const codeView = (code, marks) => {
  const view = make("pre", { class: "code", tabindex: "0", "aria-label": "program" });
  let line = 0, current = null;
  const open = () => { current = make("span", { class: marks[line] ? "only" : null }); line++; view.append(current); };
  const put = (text, kind) => text.split("\n").forEach((part, at) => {
    if (at) open();
    if (part) current.append(kind ? make("span", { class: kind, text: part }) : part);
  });
  open();
  let end = 0;
  for (const match of code.matchAll(TOKEN)) {
    put(code.slice(end, match.index), null);
    end = match.index + match[0].length;
    put(match[0], match[1] ? "q" : match[2] ? "h" : match[3] ? "n" : WORDS.has(match[4]) ? "k" : null);
  }
  put(code.slice(end), null);
  return view;
};
const lineDiff = (a, b) => {
  const marks = [a.map(() => true), b.map(() => true)];
  if (a.length * b.length > 400000) return marks.map((side) => side.map(() => false));
  const width = b.length + 1, best = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--)
    best[i * width + j] = a[i].trimEnd() === b[j].trimEnd() ? best[(i + 1) * width + j + 1] + 1 : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i].trimEnd() === b[j].trimEnd()) { marks[0][i++] = false; marks[1][j++] = false; }
    else if (best[(i + 1) * width + j] >= best[i * width + j + 1]) i++;
    else j++;
  }
  return marks;
};

// ---- keyboard ----------------------------------------------------------------------------------------------
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  if (event.key === "Escape" && typing) { document.activeElement.blur(); return; }
  if (typing) return;
  if (event.key === "/") { event.preventDefault(); $("f-text").focus(); return; }
  if (event.key !== "j" && event.key !== "k") return;
  const rows = [...document.querySelectorAll("#problems .row")], at = rows.indexOf(document.activeElement.closest?.("#problems > li")?.querySelector(".row"));
  const next = rows[event.key === "j" ? at + 1 : Math.max(0, at - 1)];
  if (next) { event.preventDefault(); next.focus(); next.scrollIntoView({ block: "nearest" }); }
});

// ---- start -------------------------------------------------------------------------------------------------
const start = async () => {
  index = await unpack("index");
  options($("f-table"), index.tables.map((table, t) => [String(t), table.label]), index.tables.length > 1 ? "all suites" : null);
  fillDependent();
  for (const id of ["f-table", "f-a", "f-b", "f-lang", "f-tag", "f-error"]) $(id).addEventListener("change", () => {
    if (id === "f-table") fillDependent();
    refresh();
  });
  let timer = 0;
  $("f-text").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(refresh, 250); });
  $("more").addEventListener("click", showMore);
  await refresh();
  document.documentElement.dataset.ready = "true";
};
start().catch((error) => { $("status").textContent = `The problems could not be read: ${error}`; throw error; });
